"""Common settings of the tests."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("relulens", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("relulens")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
