"""Penalties that push the templates of different classes apart."""

from typing import Literal

import torch
from torch import Tensor, nn

from relulens.errors import InvalidArgumentError

Form = Literal["last_layer", "input_templates", "filters"]


def template_orthogonality(
    module: nn.Module,
    x: Tensor | None = None,
    *,
    form: Form = "last_layer",
    normalise: bool = False,
) -> Tensor:
    r"""Return a penalty, zero where templates of different classes are orthogonal.

    ``"last_layer"`` is :math:`\sum_{c \ne c'} \langle W_c, W_{c'}\rangle^2` over rows
    of the last dense layer. ``"input_templates"`` is the mean of
    :math:`\langle T_c(x), T_{c'}(x)\rangle^2` over pairs of classes, the diagonal
    counted as zero, and inputs, with the rows T of the input's local slope; it
    differentiates twice. ``"filters"`` is the mean squared off-diagonal entry of each
    convolution's Gram matrix, averaged over the convolutions. The three scales differ,
    so that one weight does not serve another form; on small data none of them reliably
    improves accuracy.

    Args:
        module: A live module that gives [N, classes].
        x: Inputs, batch first; only ``"input_templates"`` needs them.
        form: Which templates.
        normalise: Whether rows are scaled to norm one first.

    Returns:
        A number with gradients.

    Raises:
        InvalidArgumentError: An unknown form, no dense layer or convolution where one
            is
            needed, or no ``x`` where it is needed.
    """
    if form == "last_layer":
        dense = [m for m in module.modules() if isinstance(m, nn.Linear)]
        if not dense:
            raise _missing(form, "0 dense layers")
        return _off_diagonal(dense[-1].weight, normalise).square().sum()
    if form == "filters":
        layers = [
            m
            for m in module.modules()
            if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Conv3d))
        ]
        if not layers:
            raise _missing(form, "0 convolutions")
        parts = [_off_diagonal(m.weight.flatten(1), normalise) for m in layers]
        return torch.stack([part.square().mean() for part in parts]).mean()
    if form == "input_templates":
        if x is None:
            raise _missing(form, "0 inputs given")
        return _off_diagonal(live_templates(module, x), normalise).square().mean()
    raise InvalidArgumentError(
        f"cannot penalise templates: form is {form!r}, and one of last_layer,"
        " input_templates, filters is needed."
    )


def _missing(form: str, what: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"cannot penalise templates in the form {form!r}: the module has {what}, and 1"
        " is needed. Use another form, or pass x."
    )


def _off_diagonal(rows: Tensor, normalise: bool) -> Tensor:
    """Return inner products of different rows, zeros on the diagonal."""
    used = torch.nn.functional.normalize(rows, dim=-1) if normalise else rows
    gram = used @ used.mT
    return gram - torch.diag_embed(gram.diagonal(dim1=-2, dim2=-1))


def live_templates(module: nn.Module, x: Tensor) -> Tensor:
    """Return the rows of the input's local slope, with gradients to the weights.

    Args:
        module: A live module that gives [N, classes].
        x: Inputs, batch first.

    Returns:
        [N, classes, entries of an input].
    """
    leaf = x.detach().requires_grad_()
    output = module(leaf)
    rows = [
        torch.autograd.grad(output[:, c].sum(), leaf, create_graph=True)[0].flatten(1)
        for c in range(output.shape[1])
    ]
    return torch.stack(rows, dim=1)
