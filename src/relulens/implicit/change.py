"""How much a batch of states changed, relative to each state's largest entry."""

from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

Floats: TypeAlias = NDArray[np.floating[Any]]

FEWEST = 4096
"""Entries below which loading the compiled kernel is not worth while."""


def relative_change(
    state: Float[Tensor, "batch n"], image: Float[Tensor, "batch n"]
) -> float:
    """Return the largest of ``max |image - state| / max |image|`` over the batch."""
    tiny = torch.finfo(image.dtype).tiny
    known = image.dtype in {torch.float32, torch.float64}
    if known and image.device.type == "cpu" and image.numel() >= FEWEST:
        for flip in (False, True):
            pair = (state.T, image.T) if flip else (state, image)
            if all(part.is_contiguous() for part in pair):
                return _compiled(pair[0].numpy(), pair[1].numpy(), flip, tiny)
    size = image.abs().amax(1).clamp_(min=tiny)
    left = float(((image - state).abs_().amax(1) / size).amax())
    return left if left == left else float("inf")


def _compiled(state: Floats, image: Floats, flip: bool, tiny: float) -> float:
    from relulens.numerics.kernels import change

    kernel = change.by_columns if flip else change.by_rows
    work = np.zeros((2, state.shape[1]), state.dtype)
    bits = work.view(np.int32 if state.dtype == np.float32 else np.int64)
    return float(kernel(state, image, work, bits, tiny))
