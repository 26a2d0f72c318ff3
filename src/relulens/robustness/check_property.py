"""Whether a property holds: branch and bound over boxes, and exact programs."""

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from relulens.bounds.layer_bounds import layer_bounds
from relulens.bounds.program_bounds import DEFAULT_LIMITS, Limits, program_bounds
from relulens.bounds.relative import with_rows
from relulens.errors import InvalidArgumentError, UnboundedError
from relulens.graph.convert import converted
from relulens.graph.evaluate import evaluate
from relulens.graph.freeze import freeze
from relulens.graph.network import Network
from relulens.graph.nodes import Coupled, Smooth
from relulens.graph.property import Property, PropertyCase
from relulens.graph.tangent import adjoint
from relulens.robustness.descent import smallest_found, worst_row
from relulens.robustness.sensitivity import sensitivity

_AT_ONCE = 32


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PropertyVerdict:
    """Whether a property holds.

    Attributes:
        verdict: ``"holds"``, ``"violated"`` or ``"unknown"``.
        witness: An input [*input_shape] that violates it, or nothing.
        output: The network's output there.
        case: The case that the witness belongs to, or that was left open.
        boxes: Boxes that were bounded.
        rigorous: Whether a verdict ``"holds"`` accounts for all rounding.
        reason: Why it is unknown, or nothing.
    """

    verdict: str
    witness: Tensor | None
    output: Tensor | None
    case: int | None
    boxes: int
    rigorous: bool
    reason: str | None

    def __repr__(self) -> str:
        """Return the verdict on one line."""
        why = f", {self.reason}" if self.reason else ""
        return f"PropertyVerdict({self.verdict!r}, {self.boxes} boxes{why})"


def check_property(
    network: Network,
    property: Property,
    /,
    *,
    seconds: float = 60.0,
    boxes: int = 20_000,
    limits: Limits = DEFAULT_LIMITS,
) -> PropertyVerdict:
    """Return whether no input satisfies any case of a property.

    For every case: bounds by relaxation may exclude a condition, signed gradients may
    find a witness; else the box is halved along the input that carries most, again and
    again. Where half of the time is gone and the network is piecewise affine, exact
    programs try to exclude what is left.

    Args:
        network: The network.
        property: The property, as ``read_property`` gives it.
        seconds: Time for all cases.
        boxes: Most boxes to bound.
        limits: What each bound may take.

    Returns:
        A witness is an input of the case's box whose output, evaluated again in
        float64, satisfies all its conditions.

    Raises:
        InvalidArgumentError: The property is about another number of inputs or outputs.
    """
    sizes = (network.input_size, network.output_size)
    if sizes != (property.inputs, property.outputs):
        raise InvalidArgumentError(
            f"cannot check the property: it has {property.inputs} inputs and"
            f" {property.outputs} outputs, and the network {sizes[0]} and {sizes[1]}."
            " Take the network that it was written for, or cut this one at output=NAME."
        )
    wide = converted(network)
    end = time.monotonic() + seconds
    count, rigorous, open_ = 0, True, None
    for i, case in enumerate(property.cases):
        search = _Search(wide, case, boxes - count, limits)
        found = search.run(end)
        count += search.count
        rigorous &= search.rigorous
        if found is not None:
            return PropertyVerdict(
                verdict="violated",
                witness=found,
                output=evaluate(wide, found[None])[0],
                case=i,
                boxes=count,
                rigorous=True,
                reason=None,
            )
        if search.reason is not None and open_ is None:
            open_ = (i, search.reason)
    return PropertyVerdict(
        verdict="holds" if open_ is None else "unknown",
        witness=None,
        output=None,
        case=None if open_ is None else open_[0],
        boxes=count,
        rigorous=rigorous,
        reason=None if open_ is None else open_[1],
    )


class _Search:
    """Branch and bound over boxes for one case."""

    def __init__(
        self, network: Network, case: PropertyCase, budget: int, limits: Limits
    ) -> None:
        shape = network.input_shape
        device = network.device
        self.network, self.limits, self.budget = network, limits, budget
        self.low = torch.from_numpy(case.low).reshape(1, *shape).to(device)
        self.high = torch.from_numpy(case.high).reshape(1, *shape).to(device)
        self.rows = torch.from_numpy(case.rows).to(device)
        # The right-hand side was read from decimals: one step of room either way.
        right = torch.from_numpy(case.right)
        self.right = right.to(device)
        self.room = torch.nextafter(right, torch.full_like(right, torch.inf)).to(device)
        self.count, self.rigorous = 0, True
        self.reason: str | None = None
        curved = any(isinstance(node, Smooth | Coupled) for node in network.nodes)
        self.programs = not curved and len(case.rows) > 0
        self.folded = with_rows(network, self.rows) if len(case.rows) else None
        self.carried = self._carried()

    def run(self, end: float) -> Tensor | None:
        """Return a witness; or nothing, with ``reason`` set unless there is none."""
        if self.folded is None:
            return ((self.low + self.high) / 2)[0]
        middle = time.monotonic() + (end - time.monotonic()) / 2
        halves = middle if self.programs else end
        stack = [(self.low, self.high)]
        while stack:
            if time.monotonic() > halves or self.count >= self.budget:
                return self._rest(stack, end)
            taken, stack = stack[-_AT_ONCE:], stack[:-_AT_ONCE]
            low = torch.cat([pair[0] for pair in taken])
            high = torch.cat([pair[1] for pair in taken])
            left = self._undecided(self.folded, low, high)
            low, high = low[left], high[left]
            found = self._witness(low, high)
            if found is not None:
                return found
            stack += self._halved(low, high)
        return None

    def _undecided(self, folded: Network, low: Tensor, high: Tensor) -> Tensor:
        """Return which boxes have no condition that nothing there satisfies."""
        found = layer_bounds(folded, low, high, rows=self.limits.rows)
        self.count += len(low)
        self.rigorous &= found.rigorous
        return ~(found.output[0] > self.room).any(1)

    def _witness(self, low: Tensor, high: Tensor) -> Tensor | None:
        if not len(low):
            return None
        steps = 20 if self.count <= _AT_ONCE else 4
        objective = worst_row(self.rows, self.right)
        points, value = smallest_found(
            self.network, (low + high) / 2, (low, high), objective, steps=steps
        )
        good = (value <= 0).nonzero().flatten()
        return points[good[0]] if len(good) else None

    def _halved(self, low: Tensor, high: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return every box in two halves, cut along its most important input."""
        pairs: list[tuple[Tensor, Tensor]] = []
        if not len(low):
            return pairs
        weight = self._weights(low, high)
        for i in range(len(low)):
            flat = ((high[i] - low[i]).reshape(-1) * weight[i]).argmax()
            one, two = low[i].clone(), high[i].clone()
            middle = (one.reshape(-1)[flat] + two.reshape(-1)[flat]) / 2
            two.reshape(-1)[flat] = middle
            one.reshape(-1)[flat] = middle
            if bool((one <= low[i]).all()) or bool((two >= high[i]).all()):
                self.reason = "a box is too small to be cut"
                continue
            pairs += [(low[i][None], two[None]), (one[None], high[i][None])]
        return pairs

    def _weights(self, low: Tensor, high: Tensor) -> Tensor:
        """Return how much each input moves the conditions.

        That is half the slope at the middle, and half the sensitivity: the slope alone
        would never cut along an input that carries nothing just there.
        """
        network = self.network
        frozen = freeze(network, (low + high) / 2, network.output)
        total = low.new_zeros((len(low), network.input_size))
        for row in self.rows:
            weights = row.reshape(1, *network.output_shape)
            weights = weights.expand(len(low), *network.output_shape).contiguous()
            total = total + adjoint(frozen, weights).flatten(1).abs()
        return total / total.amax(1, keepdim=True).clamp(min=1e-300) + self.carried

    def _carried(self) -> Tensor:
        """Return how far each input carries at most, the largest one by one."""
        even = self.low.new_ones(self.network.input_size)
        if self.folded is None:
            return even
        try:
            total = sensitivity(self.folded).matrix.sum(0)
        except UnboundedError:
            return even
        return total / total.amax().clamp(min=1e-300) + 1e-3

    def _rest(self, stack: list[tuple[Tensor, Tensor]], end: float) -> Tensor | None:
        """Try exact programs on the boxes that are left."""
        left = len(stack)
        while stack and self.programs and self.folded is not None:
            remaining = end - time.monotonic()
            if remaining <= 0:
                break
            low, high = stack.pop()
            share = replace(self.limits, seconds=min(remaining, self.limits.seconds))
            found = layer_bounds(self.folded, low, high, rows=self.limits.rows)
            solved = program_bounds(found, exact=True, limits=share)
            self.rigorous &= solved.rigorous
            witness = self._checked(solved.lowest, low, high)
            if witness is not None:
                return witness
            if not bool((solved.lower > self.room + 1e-6).any()):
                stack.append((low, high))
                break
            left -= 1
        if stack:
            self.reason = f"{left} of {self.count} boxes are open after the time given"
        return None

    def _checked(self, points: Tensor, low: Tensor, high: Tensor) -> Tensor | None:
        """Return a program's point if it is a witness, evaluated again."""
        inputs = points.reshape(-1, *self.network.input_shape)
        inputs = inputs[torch.isfinite(inputs).flatten(1).all(1)].clamp(low, high)
        if not len(inputs):
            return None
        y = evaluate(self.network, inputs).flatten(1)
        good = (y @ self.rows.T <= self.right).all(1).nonzero().flatten()
        return inputs[good[0]] if len(good) else None
