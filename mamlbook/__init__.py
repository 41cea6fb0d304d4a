"""Solvers and trainers behind the book "How Does the Task Landscape Affect MAML Performance?"."""

__version__ = "0.1.0"
