"""Few-shot classification: trained networks to take away, and what trained them."""

from mamlbook.fewshot.models import Model, adapt, predict, pretrained

__all__ = ["Model", "adapt", "predict", "pretrained"]
