"""The mark of what needs a GPU: `make test` leaves it out, `python -m pytest -m gpu` runs it."""

import pytest
import torch

GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]
