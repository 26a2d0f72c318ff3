"""How far a change of the input carries, as a term of the loss of a live module."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from relulens.errors import InvalidArgumentError
from relulens.training.implicit_layer import ImplicitLayer

_CALM = (nn.ReLU, nn.Tanh, nn.Identity)
# Layers that carry bounds as they carry values.
_MONOTONE = (nn.Flatten, nn.AvgPool2d, nn.MaxPool2d, nn.AdaptiveAvgPool2d)


def carried_change(module: nn.Module, radius: Tensor) -> Tensor:
    r"""Return bounds on the change of every output, differentiable in the weights.

    For an implicit layer :math:`S r = (|C|(I-\Gamma|A|)^{-1}\Gamma|B| + |D|) r` with
    the radii r, by one linear solve; for a chain of layers the same sweep layer by
    layer. With r = 1 the outputs' sum is the sum of the rows of S. The bound holds for
    every input, and is loose for deep networks; as a penalty it shrinks what it sums.

    Args:
        module: An ``ImplicitLayer``, or ``nn.Sequential`` of those, ``Linear``,
            ``Conv2d``, pooling, ``Flatten`` and activations with slopes in [-1, 1].
        radius: Largest change of every input entry [*input_shape], nonnegative.

    Returns:
        Bounds [*output_shape].

    Raises:
        InvalidArgumentError: A layer is of another kind; the message names it.

    Cost:
        A forward pass, and a dense solve [n, n] for an implicit layer.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> carried_change(layer, torch.ones(2)).shape
        torch.Size([1])
    """
    return _carried(module, radius[None], type(module).__name__)[0]


def _carried(module: nn.Module, change: Tensor, name: str) -> Tensor:
    match module:
        case ImplicitLayer():
            return _through_loop(module, change)
        case nn.Sequential():
            for key, part in module.named_children():
                change = _carried(part, change, f"{name}.{key}")
            return change
        case nn.Linear():
            return functional.linear(change, module.weight.abs())
        case nn.Conv2d() if module.padding_mode == "zeros":
            return _through_convolution(module, change)
        case _ if isinstance(module, _MONOTONE):
            return module(change)
        case _:
            return change * _steepest(module, name)


def _through_convolution(module: nn.Conv2d, change: Tensor) -> Tensor:
    return functional.conv2d(
        change,
        module.weight.abs(),
        None,
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
    )


def _steepest(module: nn.Module, name: str) -> float:
    match module:
        case nn.Sigmoid():
            return 0.25
        case nn.LeakyReLU():
            return max(1.0, abs(module.negative_slope))
        case _ if isinstance(module, _CALM):
            return 1.0
        case _:
            raise InvalidArgumentError(
                f"cannot carry a change through {name}: a {type(module).__name__} is"
                " none of the layers this term knows. Use relulens.sensitivity on the"
                " imported network, or apply the term to a part of the module."
            )


def _through_loop(layer: ImplicitLayer, change: Tensor) -> Tensor:
    gain = layer.gain.to(layer.a.dtype)[:, None]
    flat = change.flatten(1)
    pushed = gain * (layer.B.abs() @ flat.T)
    eye = torch.eye(len(layer.a), dtype=layer.a.dtype, device=layer.a.device)
    moved = torch.linalg.solve(eye - gain * layer.A.abs(), pushed)
    return (layer.C.abs() @ moved + layer.D.abs() @ flat.T).T
