"""Bounds of a network's outputs around inputs, by a choice of methods."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from relulens.bounds.layer_bounds import layer_bounds
from relulens.bounds.program_bounds import DEFAULT_LIMITS, Limits, program_bounds
from relulens.bounds.relative import differences, with_rows
from relulens.bounds.rounding import gamma
from relulens.errors import InvalidArgumentError
from relulens.graph.arrays import tensor_of
from relulens.graph.convert import converted
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.implicit.model import ImplicitModel
from relulens.robustness.ball import Surroundings, surroundings
from relulens.robustness.local_reach import local_reach
from relulens.robustness.loop_bounds import (
    check_loop_method,
    loop_bounds,
    with_model_rows,
)
from relulens.robustness.sensitivity import Sensitivity, sensitivity

BoundsMethod: TypeAlias = Literal[
    "sensitivity",
    "interval",
    "local",
    "relaxation",
    "optimised",
    "triangle",
    "exact",
]
METHODS: tuple[BoundsMethod, ...] = (
    "sensitivity",
    "interval",
    "local",
    "relaxation",
    "optimised",
    "triangle",
    "exact",
)
_BYTES = 128 << 20
Subject: TypeAlias = Network | ImplicitModel


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OutputBounds:
    """Bounds of outputs, or of rows of them, around every input.

    Attributes:
        lower: Lower bounds [N, *output_shape], or [N, rows]; with labels [N, q] of the
            label's output minus each other one, zero at the label itself.
        upper: Upper bounds, likewise.
        method: How they were found.
        norm: The norm of the radius.
        rigorous: Whether all rounding is accounted for. If not, functions such as
            ``exp`` are trusted to a relative 1e-12; and HiGHS, for ``"exact"``, to
            prune no branch wrongly within its tolerance of 1e-6.
        unrefined: Entries of layers that were left at interval bounds by a limit.
        undecided: Bounds at which a program ran into its time limit; what is reported
            there is what it had shown by then.
    """

    lower: Tensor
    upper: Tensor
    method: str
    norm: float
    rigorous: bool
    unrefined: int
    undecided: int

    def __repr__(self) -> str:
        """Return the shape, the method and the mean width on one line."""
        width = self.upper - self.lower
        mean = float(width.mean()) if width.numel() else 0.0
        shape = list(self.lower.shape)
        return f"OutputBounds({shape}, {self.method!r}, mean width {mean:.4g})"


def output_bounds(
    network: Subject,
    x: object,
    radius: object,
    /,
    *,
    method: BoundsMethod = "relaxation",
    norm: float = math.inf,
    labels: object | None = None,
    rows: object | None = None,
    domain: Box | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> OutputBounds:
    """Return bounds that hold for all inputs within a radius of each input.

    From loose and quick to tight and slow: ``"sensitivity"`` is ``y(x) ± S radius`` for
    the global S; ``"local"`` the same with the gains on the box; ``"interval"`` pushes
    the box forward; ``"relaxation"`` carries outputs back through lines, layers refined
    in the same way; ``"optimised"`` chooses the slopes of these lines for every row;
    ``"triangle"`` solves a linear program with the convex hull of every ReLU;
    ``"exact"`` one with integers. Exact lies within triangle and optimised, both of
    them within relaxation, that within interval, and that within sensitivity.

    Args:
        network: A network; or a model with loops, for all methods but
            ``"relaxation"`` and ``"optimised"``.
        x: Inputs [N, *input_shape].
        radius: A number >= 0, one an input [N], or an array that broadcasts with x.
        method: See above.
        norm: Norm of the radius: infinity, 2 or 1. Only ``"sensitivity"``,
            ``"relaxation"`` and ``"optimised"`` see more than the box around the ball.
        labels: Bound the output of each input's label [N] minus every other output.
        rows: Bound these rows [rows, q] of the flattened output instead of it.
        domain: Bounds of the inputs; the network's own by default.
        limits: What the methods may take.

    Raises:
        InvalidArgumentError: The radius, norm, method, labels or rows do not fit.
        NotPolyhedralError: ``"triangle"`` or ``"exact"`` with curved operations.
        UnboundedError: An operation has no finite gain or image.
        NotWellPosedError: A model with loops is not certified to be well posed.
        MemoryLimitError: A program is larger than the limit.

    Cost:
        See each method; ``"exact"`` takes exponential time in the units that can have
        both signs.
    """
    if method not in METHODS:
        raise InvalidArgumentError(
            f"cannot bound the output by method {method!r}: it is none of"
            f" {', '.join(map(repr, METHODS))}. Use one of them."
        )
    if labels is not None and rows is not None:
        raise InvalidArgumentError(
            "cannot bound the output: both labels and rows are given, and each asks for"
            " other rows. Give one of them."
        )
    if isinstance(network, ImplicitModel):
        check_loop_method(method)
    wide = widened(network)
    given = wide.as_input(x)
    limit = wide.domain if domain is None else domain
    around = surroundings(given, radius, norm, limit)
    if rows is not None:
        wide = _with_rows(wide, as_rows(rows, outputs(wide)))
    if labels is None:
        return _bounds(wide, around, method, norm, limits)
    chosen = as_labels(labels, given.shape[0], outputs(wide))
    return _relative(wide, around, method, norm, limits, chosen)


def widened(network: Subject) -> Subject:
    """Return a network or model in float64; a model on the processor."""
    if isinstance(network, ImplicitModel):
        return network.to(torch.float64, torch.device("cpu"))
    return converted(network)


def outputs(network: Subject) -> int:
    """Return the entries of one output."""
    return network.q if isinstance(network, ImplicitModel) else network.output_size


def _with_rows(network: Subject, rows: Tensor) -> Subject:
    if isinstance(network, ImplicitModel):
        return with_model_rows(network, rows)
    return with_rows(network, rows)


def as_rows(rows: object, size: int) -> Float[Tensor, "rows q"]:
    """Return rows of the output, checked.

    Raises:
        InvalidArgumentError: They have another width, or numbers that are not finite.
    """
    found = tensor_of(rows, subject="rows").to(torch.float64)
    if found.ndim != 2 or found.shape[1] != size or not bool(found.isfinite().all()):
        raise InvalidArgumentError(
            f"cannot bound rows of the output: they are {list(found.shape)}, and finite"
            f" numbers [rows, {size}] are needed. Flatten the output's axes."
        )
    return found


def as_labels(labels: object, count: int, size: int) -> Int[Tensor, " batch"]:
    """Return labels, checked.

    Raises:
        InvalidArgumentError: There is not one an input, or one is no output.
    """
    given = tensor_of(labels, subject="labels").cpu()
    real = given.is_floating_point() or given.dtype == torch.bool
    if real and given.numel():
        raise InvalidArgumentError(
            f"cannot use labels: their type is {given.dtype}, and whole numbers from 0"
            f" to {size - 1} are needed. Convert them."
        )
    found = given.to(torch.int64)
    inside = (found >= 0) & (found < size)
    if found.shape != (count,) or not bool(inside.all()):
        span = f" from {int(found.min())} to {int(found.max())}" if len(found) else ""
        raise InvalidArgumentError(
            f"cannot use labels: they are {list(found.shape)}{span}, and [{count}] from"
            f" 0 to {size - 1} are needed. Give one an input."
        )
    return found


def _relative(
    network: Subject,
    around: Surroundings,
    method: BoundsMethod,
    norm: float,
    limits: Limits,
    labels: Tensor,
) -> OutputBounds:
    """Bound each label's output minus the others, the inputs of one label together."""
    q = outputs(network)
    lower = torch.zeros((len(labels), q), dtype=torch.float64, device=network.device)
    upper = lower.clone()
    found: list[OutputBounds] = []
    for label in labels.unique().tolist():
        mine = (labels == label).nonzero().flatten().to(network.device)
        others = torch.arange(q, device=network.device) != label
        part = _bounds(
            _with_rows(network, differences(q, label)),
            around.part(mine),
            method,
            norm,
            limits,
        )
        place = others.nonzero().flatten()
        lower[mine[:, None], place] = part.lower
        upper[mine[:, None], place] = part.upper
        found.append(part)
    return OutputBounds(
        lower=lower,
        upper=upper,
        method=method,
        norm=norm,
        rigorous=all(part.rigorous for part in found),
        unrefined=sum(part.unrefined for part in found),
        undecided=sum(part.undecided for part in found),
    )


def _bounds(
    network: Subject,
    around: Surroundings,
    method: BoundsMethod,
    norm: float,
    limits: Limits,
) -> OutputBounds:
    if isinstance(network, ImplicitModel):
        lower, upper, rigorous, undecided = loop_bounds(network, around, method, limits)
        return OutputBounds(
            lower=lower.reshape(-1, *network.output_shape),
            upper=upper.reshape(-1, *network.output_shape),
            method=method,
            norm=norm,
            rigorous=rigorous,
            unrefined=0,
            undecided=undecided,
        )
    table = sensitivity(network) if method == "sensitivity" else None
    found = [
        _piece(network, around.part(part), method, norm, limits, table)
        for part in _parts(network, around.x.shape[0])
    ]
    return OutputBounds(
        lower=torch.cat([part.lower for part in found]),
        upper=torch.cat([part.upper for part in found]),
        method=method,
        norm=norm,
        rigorous=all(part.rigorous for part in found),
        unrefined=sum(part.unrefined for part in found),
        undecided=sum(part.undecided for part in found),
    )


def _parts(network: Network, count: int) -> Iterator[slice]:
    """Return ranges of inputs whose bounds fit into memory."""
    needed = network.ancestors(network.output)
    row = 8 * 8 * sum(math.prod(network.nodes[i].shape) for i in needed)
    step = max(1, _BYTES // max(row, 1))
    for start in range(0, max(count, 1), step):
        yield slice(start, start + step)


def _piece(
    network: Network,
    around: Surroundings,
    method: BoundsMethod,
    norm: float,
    limits: Limits,
    table: Sensitivity | None,
) -> OutputBounds:
    low, high = around.low, around.high
    undecided = unrefined = 0
    if table is not None:
        lower, upper = _sensitive(network, around, table)
        rigorous = layer_bounds(network, low[:0], high[:0], method="interval").rigorous
    elif method == "local":
        lower, upper, rigorous = local_reach(network, around.x, low, high)
    elif method == "interval":
        found = layer_bounds(network, low, high, method="interval")
        (lower, upper), rigorous = found.output, found.rigorous
    else:
        lines = "optimised" if method == "optimised" else "relaxation"
        found = layer_bounds(
            network, low, high, method=lines, rows=limits.rows, ball=around.ball
        )
        (lower, upper), rigorous = found.output, found.rigorous
        unrefined = found.unrefined
        if method in {"triangle", "exact"}:
            solved = program_bounds(found, exact=method == "exact", limits=limits)
            lower, upper, undecided = solved.lower, solved.upper, solved.undecided
            rigorous = rigorous and solved.rigorous
    return OutputBounds(
        lower=lower,
        upper=upper,
        method=method,
        norm=norm,
        rigorous=rigorous,
        unrefined=unrefined,
        undecided=undecided,
    )


def _sensitive(
    network: Network, around: Surroundings, table: Sensitivity
) -> tuple[Tensor, Tensor]:
    """Return the values at x plus and minus what S lets a change carry."""
    least, most = layer_bounds(network, around.x, around.x, method="interval").output
    change = table.change(around.change.flatten(1))
    if around.ball is not None:
        norms = torch.linalg.vector_norm(table.matrix, around.ball.dual, dim=1)
        norms = torch.ldexp(norms, table.exponent)
        share = table.rounding + gamma(table.matrix.shape[1])
        reach = norms * around.ball.radius.unsqueeze(1) * (1 + share)
        change = torch.minimum(change, reach)
    change = change.reshape(-1, *network.output_shape)
    return least - change, most + change
