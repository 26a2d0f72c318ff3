"""Numbers that callers pass, as tensors."""

import numpy as np
import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError


def tensor_of(given: object, *, subject: str) -> Tensor:
    """Return numbers as a tensor of their own type, without a gradient.

    Lists go through numpy, as torch would round them to float32. Arrays that torch
    cannot share (flipped, read-only, of foreign byte order) are copied.

    Args:
        given: A tensor, an array, nested lists or a number.
        subject: What the message calls it.

    Raises:
        InvalidArgumentError: It holds something else than real numbers.
    """
    if isinstance(given, Tensor):
        value = given.detach()
        if value.is_complex():
            raise _refused(subject, f"it holds {value.dtype} numbers")
        return value
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise _refused(subject, "its rows differ in length") from error
    if array.dtype.kind not in "biuf":
        kind = type(given).__name__
        raise _refused(subject, f"a {kind} of {array.dtype} numbers is given")
    shared = array.flags.writeable and array.dtype.isnative
    if not shared or any(step < 0 for step in array.strides):
        array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    try:
        return torch.as_tensor(array)
    except TypeError as error:
        raise _refused(subject, f"torch has no {array.dtype}") from error


def _refused(subject: str, fact: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"cannot use {subject}: {fact}, and an array of real numbers is needed. Pass a"
        " numpy or torch array."
    )
