"""Rules of recurrent layers, unrolled over their fixed number of steps."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from relulens.importers.aten.call import Call, aten
from relulens.importers.aten.sources import Source
from relulens.importers.builder import Builder
from relulens.importers.operations import recurrent as operations
from relulens.importers.operations.indexing import concat, select, stack
from relulens.importers.operations.recurrent import State, Unrolled, Weights
from relulens.importers.operations.shapes import permute
from relulens.importers.registry import RefusedError
from relulens.importers.values import Value

Unroll = Callable[..., Unrolled]


def _weights(call: Call, count: int) -> Iterator[Weights]:
    """Yield the weights of every layer and direction."""
    tensors = [_fixed(item) for item in call.operands("params")]
    biased = call.flag("has_biases")
    step = 4 if biased else 2
    if len(tensors) != step * count:
        raise RefusedError("its states are projected: proj_size is not 0")
    for start in range(0, len(tensors), step):
        inner, outer = tensors[start : start + 2]
        zero = inner.new_zeros(inner.shape[0])
        bias, again = tensors[start + 2 : start + 4] if biased else (zero, zero)
        yield Weights(input=inner, recurrent=outer, bias=bias, recurrent_bias=again)


def _fixed(weight: Value | Tensor) -> Tensor:
    if isinstance(weight, Value):
        raise RefusedError("its weights depend on the input")
    return weight


def _state(call: Call, given: Value | Tensor, place: int) -> State:
    """Return the first state of one layer and direction."""
    if isinstance(given, Tensor):
        return given[place]
    return select(call.build, f"{call.name}.start.{place}", given, 0, place)


@dataclass(frozen=True, slots=True, eq=False)
class _Stack:
    """Results of stacked layers: the sequence and the last states."""

    sequence: Value
    hidden: list[Value]
    cells: list[Value]


def _stacked(call: Call, unroll: Unroll, states: Sequence[Value | Tensor]) -> _Stack:
    layers = call.integer("num_layers")
    directions = 2 if call.flag("bidirectional") else 1
    if call.flag("train") and call.number("dropout") != 0:
        raise RefusedError("dropout in training mode draws at random")
    weights = list(_weights(call, layers * directions))
    x = call.value("input")
    if call.flag("batch_first"):
        x = permute(call.build, f"{call.name}.time_first", x, [1, 0, 2])
    hidden: list[Value] = []
    cells: list[Value] = []
    for layer in range(layers):
        halves: list[Value] = []
        for direction in range(directions):
            place = layer * directions + direction
            name = call.name if len(weights) == 1 else f"{call.name}.layer{layer}"
            name += ".reverse" if direction else ""
            start = [_state(call, given, place) for given in states]
            taken = unroll(
                call.build, name, x, weights[place], *start, reverse=direction == 1
            )
            halves.append(stack(call.build, f"{name}.sequence", taken.steps, 0))
            hidden.append(taken.hidden)
            if taken.cell is not None:
                cells.append(taken.cell)
        x = halves[0]
        if directions == 2:
            name = f"{call.name}.layer{layer}.joined"
            x = concat(call.build, name, halves, 2)
    if call.flag("batch_first"):
        x = permute(call.build, f"{call.name}.batch_first", x, [1, 0, 2])
    return _Stack(x, hidden, cells)


def _simple(call: Call, unroll: Unroll) -> tuple[Source, ...]:
    found = _stacked(call, unroll, [call.operand("hx")])
    last = stack(call.build, f"{call.name}.hidden", found.hidden, 0)
    return found.sequence, last


@aten("rnn_tanh.input", ("Affine", "Smooth"), note="unrolled")
def _rnn_tanh(call: Call) -> tuple[Source, ...]:
    return _simple(call, operations.rnn)


@aten("rnn_relu.input", ("Affine", "TwoSlope"), note="unrolled")
def _rnn_relu(call: Call) -> tuple[Source, ...]:
    return _simple(call, partial(operations.rnn, activation=operations.relu))


def _unroll_gru(
    build: Builder,
    name: str,
    x: Value,
    weights: Weights,
    hidden: State,
    *,
    reverse: bool,
) -> Unrolled:
    # torch orders the gates reset, update, new.
    ordered = weights.ordered([1, 0, 2])
    return operations.gru(build, name, x, ordered, hidden, reverse=reverse)


@aten("gru.input", ("Affine", "Smooth", "Coupled"), note="unrolled")
def _gru(call: Call) -> tuple[Source, ...]:
    return _simple(call, _unroll_gru)


def _unroll_lstm(
    build: Builder,
    name: str,
    x: Value,
    weights: Weights,
    hidden: State,
    cell: State,
    *,
    reverse: bool,
) -> Unrolled:
    # torch orders the gates input, forget, cell, output.
    ordered = weights.ordered([0, 3, 1, 2])
    return operations.lstm(build, name, x, ordered, hidden, cell, reverse=reverse)


@aten("lstm.input", ("Affine", "Smooth", "Coupled"), note="unrolled")
def _lstm(call: Call) -> tuple[Source, ...]:
    found = _stacked(call, _unroll_lstm, call.operands("hx"))
    hidden = stack(call.build, f"{call.name}.hidden", found.hidden, 0)
    cells = stack(call.build, f"{call.name}.cells", found.cells, 0)
    return found.sequence, hidden, cells
