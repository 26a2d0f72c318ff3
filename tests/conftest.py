"""Common settings of the tests."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from relulens.numerics import kernels

settings.register_profile("relulens", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("relulens")
torch.set_num_threads(1)


def _forget_stale_kernels() -> None:
    """Remove compiled kernels older than a kernel's source.

    Numba looks at the file of a function only, not at those of the functions it calls.
    """
    folder = Path(kernels.__file__).parent
    newest = max(source.stat().st_mtime for source in folder.glob("*.py"))
    for index in (folder / "__pycache__").glob("*.nbi"):
        with suppress(FileNotFoundError):
            if index.stat().st_mtime < newest:
                index.unlink()


_forget_stale_kernels()


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
