import os

import pytest
import torch

from mamlbook.fewshot.data.images import ImageSet
from tests.fewshot import synthetic


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session", name="characters")
def characters_fixture() -> ImageSet:
    return synthetic.characters()


@pytest.fixture(scope="session", name="pictures")
def pictures_fixture() -> ImageSet:
    return synthetic.pictures()


@pytest.fixture(scope="session")
def real_data() -> None:
    """Skips a test that wants the real images where there are none."""
    if not os.environ.get("MAMLBOOK_DATA"):
        pytest.skip("MAMLBOOK_DATA is not set: the real images are not at hand")
