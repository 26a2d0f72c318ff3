"""Recurrent layers, unrolled over their steps."""

from collections.abc import Sequence
from functools import partial

import torch

from relulens.importers.onnx_model.step import Step
from relulens.importers.onnx_model.symbols import Entry, Unknown
from relulens.importers.operations import activations, recurrent
from relulens.importers.operations.indexing import select, stack
from relulens.importers.operations.recurrent import (
    Activation,
    State,
    Unrolled,
    Weights,
    relu,
    sigmoid,
    tanh,
)
from relulens.importers.operations.shapes import permute
from relulens.importers.registry import RefusedError, register
from relulens.importers.values import BatchAxis, Value

ONNX = "ai.onnx"

_ACTIVATIONS: dict[str, Activation] = {
    "relu": relu,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "hardsigmoid": partial(activations.hardsigmoid, slope=0.2, shift=0.5),
}
_DIRECTIONS = {
    "forward": (False,),
    "reverse": (True,),
    "bidirectional": (False, True),
}


def _reversals(step: Step) -> Sequence[bool]:
    direction = step.text("direction", "forward")
    if direction not in _DIRECTIONS:
        raise RefusedError(f"its direction {direction!r} is not known")
    return _DIRECTIONS[direction]


def _refuse_options(step: Step) -> None:
    if step.has(4):
        raise RefusedError("sequence_lens is given; export it for one fixed length")
    if "clip" in step.attributes:
        raise RefusedError("clip is given, and gates here are not clipped")
    for name in ("activation_alpha", "activation_beta"):
        if step.attributes.get(name):
            raise RefusedError(f"{name} is given; only default activations are known")


def _functions(step: Step, defaults: Sequence[str], place: int) -> list[Activation]:
    """Return the activations of one direction."""
    named = step.attributes.get("activations") or list(defaults) * 2
    if not isinstance(named, list):
        raise RefusedError(f"its activations are {named!r}")
    count = len(defaults)
    wanted = [str(name).lower() for name in named[place * count : (place + 1) * count]]
    unknown = [name for name in wanted if name not in _ACTIVATIONS]
    if unknown or len(wanted) != count:
        raise RefusedError(f"its activations {named} are not all known")
    return [_ACTIVATIONS[name] for name in wanted]


def _weights(step: Step, place: int) -> Weights:
    inner, back = step.constant(1)[place], step.constant(2)[place]
    rows = inner.shape[0]
    shift = torch.zeros(2 * rows, dtype=torch.float64)
    if step.has(3):
        shift = step.constant(3)[place]
    return Weights(
        input=inner, recurrent=back, bias=shift[:rows], recurrent_bias=shift[rows:]
    )


def _state(step: Step, place: int, direction: int) -> State | None:
    """Return an initial state of one direction, [N, hidden]."""
    if not step.has(place):
        return None
    axis = 1 if step.integer("layout", 0) else 0
    entry = step.entry(place)
    if isinstance(entry, Value):
        label = f"{step.name}.initial.{place}.{direction}"
        return select(step.build, label, entry, axis, direction)
    return step.constant(place).select(axis, direction)


def _steps(step: Step) -> Value:
    """Return the inputs as [time, N, features]."""
    x = step.value()
    if x.rank != 3:
        raise RefusedError(f"its input has {x.rank} axes, and 3 are needed")
    if step.integer("layout", 0):
        x = permute(step.build, f"{step.name}.time_first", x, [1, 0, 2])
    if isinstance(x.dims[0], BatchAxis):
        raise RefusedError("its time axis is the batch; fix the number of steps")
    return x


def _label(step: Step, place: int, count: int) -> str:
    return step.name if count == 1 else f"{step.name}.{('forward', 'reverse')[place]}"


def _results(step: Step, found: Sequence[Unrolled]) -> list[Entry]:
    """Return all steps [time, directions, N, hidden], the last state and the cell."""
    build, name = step.build, step.name
    batch_first = bool(step.integer("layout", 0))
    results: list[Entry] = [Unknown(), Unknown(), Unknown()]
    if step.outputs[0]:
        sides = [
            stack(build, f"{name}.steps.{i}", one.steps, 0)
            for i, one in enumerate(found)
        ]
        steps = stack(build, f"{name}.steps", sides, 1)
        if batch_first:
            steps = permute(build, f"{name}.batch_first", steps, [2, 0, 1, 3])
        results[0] = steps
    axis = 1 if batch_first else 0
    results[1] = stack(build, f"{name}.last", [one.hidden for one in found], axis)
    cells = [one.cell for one in found if one.cell is not None]
    if cells:
        results[2] = stack(build, f"{name}.last_cell", cells, axis)
    return results[: len(step.outputs)]


@register(ONNX, "RNN", ("Affine", "Smooth", "TwoSlope"), note="unrolled")
def rnn(step: Step) -> list[Entry]:
    """Import a plain recurrent layer."""
    _refuse_options(step)
    x, reversals = _steps(step), _reversals(step)
    found = [
        recurrent.rnn(
            step.build,
            _label(step, i, len(reversals)),
            x,
            _weights(step, i),
            _state(step, 5, i),
            reverse=reverse,
            activation=_functions(step, ["tanh"], i)[0],
        )
        for i, reverse in enumerate(reversals)
    ]
    return _results(step, found)


@register(ONNX, "GRU", ("Affine", "Smooth", "Coupled"), note="unrolled")
def gru(step: Step) -> list[Entry]:
    """Import a layer of gated recurrent units."""
    _refuse_options(step)
    x, reversals = _steps(step), _reversals(step)
    found: list[Unrolled] = []
    for i, reverse in enumerate(reversals):
        gate, new = _functions(step, ["sigmoid", "tanh"], i)
        found.append(
            recurrent.gru(
                step.build,
                _label(step, i, len(reversals)),
                x,
                _weights(step, i),
                _state(step, 5, i),
                reverse=reverse,
                activations=(gate, new),
                reset_after=bool(step.integer("linear_before_reset", 0)),
            )
        )
    return _results(step, found)


@register(ONNX, "LSTM", ("Affine", "Smooth", "Coupled"), note="unrolled, no peepholes")
def lstm(step: Step) -> list[Entry]:
    """Import a layer of long short-term memory."""
    _refuse_options(step)
    if step.integer("input_forget", 0):
        raise RefusedError("input_forget couples its gates")
    if step.has(7) and bool((step.constant(7) != 0).any()):
        raise RefusedError("peepholes are given, and gates here have none")
    x, reversals = _steps(step), _reversals(step)
    found: list[Unrolled] = []
    for i, reverse in enumerate(reversals):
        gate, new, shown = _functions(step, ["sigmoid", "tanh", "tanh"], i)
        found.append(
            recurrent.lstm(
                step.build,
                _label(step, i, len(reversals)),
                x,
                _weights(step, i),
                _state(step, 5, i),
                _state(step, 6, i),
                reverse=reverse,
                activations=(gate, new, shown),
            )
        )
    return _results(step, found)
