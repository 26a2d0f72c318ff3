"""Common settings of the tests."""

import os
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("relulens", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("relulens")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with real models and data, or skip the test."""
    beside = Path(__file__).resolve().parents[1] / "../shared"
    folder = Path(os.environ.get("RELULENS_SHARED", beside))
    if not (folder / "models").is_dir():
        pytest.skip(
            f"no real models and data in {folder}; set RELULENS_SHARED to their folder"
        )
    return folder
