"""Networks from weight matrices."""

from collections.abc import Sequence

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.domain import Box
from relulens.graph.network import Network, Provenance
from relulens.importers.builder import Builder, with_batch
from relulens.importers.operations.arithmetic import divide, linear, subtract
from relulens.importers.values import Value


def normalised(build: Builder, x: Value, mean: object, std: object) -> Value:
    """Return ``(x - mean) / std``, so that all answers are in the user's units.

    Args:
        build: The builder.
        x: The input.
        mean: Subtracted; a number, one a channel (first axis), or the input's shape.
        std: Divided by, likewise, positive.

    Raises:
        InvalidArgumentError: ``std`` is not positive, or a shape does not fit.
    """
    if mean is not None:
        x = subtract(build, "normalise.mean", x, _by_channel(mean, x, "mean"))
    if std is not None:
        scale = _by_channel(std, x, "std")
        if not bool((scale > 0).all()):
            raise InvalidArgumentError(
                f"cannot normalise the input: the smallest std is {scale.min():g}, and"
                " every one must exceed 0. Pass the standard deviations."
            )
        x = divide(build, "normalise.std", x, scale)
    return x


def _by_channel(numbers: object, x: Value, word: str) -> Tensor:
    given = torch.as_tensor(numbers, dtype=torch.float64)
    shape = x.shape
    if given.ndim == 0 or tuple(given.shape) == shape:
        return given
    if given.ndim == 1 and shape and given.shape[0] == shape[0]:
        return given.reshape(-1, *[1] * (len(shape) - 1))
    raise InvalidArgumentError(
        f"cannot normalise the input: {word} has shape {list(given.shape)}, and the"
        f" input {list(shape)}. Pass one number, one a channel, or the input's shape."
    )


def from_layers(
    layers: Sequence[tuple[object, object]],
    *,
    mean: object = None,
    std: object = None,
    domain: Box | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
) -> Network:
    """Return the network ``W_L relu(... relu(W_1 x + b_1) ...) + b_L``.

    Args:
        layers: Pairs of a matrix [out, in] and a vector [out] or ``None``; ReLU stands
            between them, nothing after the last.
        mean: Subtracted from the input first.
        std: The input is divided by it first.
        domain: The inputs that the network is meant for.
        dtype: Type of every number.
        device: Where every number lives.

    Returns:
        The network; layer ``i`` is ``"relu{i}"``, its pre-activation ``"linear{i}"``.

    Raises:
        InvalidArgumentError: No layers, or matrices whose sizes do not fit.
        NotFiniteError: A weight is NaN or infinite.

    Example:
        >>> network = from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], [0.5])])
        >>> network.input_shape, network.output_shape, network.state_size
        ((1,), (1,), 2)
    """
    if not layers:
        raise InvalidArgumentError(
            "cannot make a network: 0 layers are given, and 1 is needed. Pass pairs"
            " (W, b)."
        )
    pairs = [_pair(i, weight, bias) for i, (weight, bias) in enumerate(layers)]
    build = Builder()
    x = build.input("input", with_batch((pairs[0][0].shape[1],)))
    x = normalised(build, x, mean, std)
    for i, (weight, bias) in enumerate(pairs):
        if x.shape != (weight.shape[1],):
            raise InvalidArgumentError(
                f"cannot make layer {i}: its matrix reads {weight.shape[1]} numbers,"
                f" and the layer before gives {x.shape[0]}. Pass matrices as [out, in]."
            )
        build.parameters = (f"{i}.weight", f"{i}.bias")
        x = linear(build, f"linear{i}", x, weight, bias)
        build.cut(f"linear{i}", x)
        if i < len(pairs) - 1:
            x = build.two_slope(f"relu{i}", x, 0.0, operation="relu")
    provenance = Provenance(format="layers")
    return build.network(
        x, provenance=provenance, domain=domain, dtype=dtype, device=device
    )


def _pair(i: int, weight: object, bias: object) -> tuple[Tensor, Tensor | None]:
    matrix = torch.as_tensor(weight, dtype=torch.float64)
    vector = None if bias is None else torch.as_tensor(bias, dtype=torch.float64)
    if matrix.ndim != 2 or (vector is not None and vector.shape != matrix.shape[:1]):
        shape = None if vector is None else list(vector.shape)
        raise InvalidArgumentError(
            f"cannot make layer {i}: its matrix is {list(matrix.shape)} and its bias"
            f" {shape}. Pass W [out, in] and b [out]."
        )
    return matrix, vector
