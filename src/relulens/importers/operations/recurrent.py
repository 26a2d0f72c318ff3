"""Recurrent layers unrolled over their time steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.coupled import Product
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis
from relulens.graph.smooth import SIGMOID, TANH
from relulens.importers.builder import Builder
from relulens.importers.operations.arithmetic import add, multiply
from relulens.importers.operations.indexing import select, split
from relulens.importers.values import (
    BatchAxis,
    Dims,
    Value,
    as_float,
    describe_dims,
    sample_constant,
)

State: TypeAlias = Value | Tensor
Activation: TypeAlias = Callable[[Builder, str, Value], Value]


def sigmoid(build: Builder, name: str, x: Value) -> Value:
    """Return the logistic function."""
    return build.smooth(name, x, SIGMOID)


def tanh(build: Builder, name: str, x: Value) -> Value:
    """Return the hyperbolic tangent."""
    return build.smooth(name, x, TANH)


def relu(build: Builder, name: str, x: Value) -> Value:
    """Return the positive part."""
    return build.two_slope(name, x, 0.0, operation="relu")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Weights:
    """Weights of one direction of a recurrent layer, gates one below the other.

    Attributes:
        input: Reads the step's input, [gates * hidden, inputs].
        recurrent: Reads the state, [gates * hidden, hidden].
        bias: Added to the input's part, [gates * hidden].
        recurrent_bias: Added to the state's part, [gates * hidden].
    """

    input: Tensor
    recurrent: Tensor
    bias: Tensor
    recurrent_bias: Tensor

    @property
    def hidden(self) -> int:
        """Size of the state."""
        return self.recurrent.shape[1]

    def rows(self, start: int, stop: int) -> "Weights":
        """Return the weights of the gates from ``start`` to ``stop``."""
        part = slice(start * self.hidden, stop * self.hidden)
        return Weights(
            input=self.input[part],
            recurrent=self.recurrent[part],
            bias=self.bias[part],
            recurrent_bias=self.recurrent_bias[part],
        )

    def ordered(self, order: Sequence[int]) -> "Weights":
        """Return the weights with the gates in another order."""
        gates = [torch.arange(i * self.hidden, (i + 1) * self.hidden) for i in order]
        index = torch.cat(gates)
        return Weights(
            input=self.input[index],
            recurrent=self.recurrent[index],
            bias=self.bias[index],
            recurrent_bias=self.recurrent_bias[index],
        )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Unrolled:
    """What a recurrent layer gives.

    Attributes:
        steps: The state after every time step, in the order of time, each [N, hidden].
        hidden: The state after the last step taken: the first in time if reversed.
        cell: The LSTM's cell there.
    """

    steps: list[Value]
    hidden: Value
    cell: Value | None = None


def _times(
    build: Builder, name: str, x: Value, reverse: bool
) -> list[tuple[int, Value]]:
    """Return the inputs [N, inputs] of all steps with their times, in the order taken.

    Raises:
        InvalidArgumentError: There is no fixed number of steps.
    """
    if x.rank != 3 or isinstance(x.dims[0], BatchAxis) or x.dims[0] == 0:
        raise InvalidArgumentError(
            f"cannot unroll {name!r}: its input is {describe_dims(x.dims)}, and"
            " [time, N, features] with at least 1 step is needed. Fix the number of"
            " steps."
        )
    order = range(x.dims[0])
    taken = reversed(order) if reverse else order
    return [(t, select(build, f"{name}.input.{t}", x, 0, t)) for t in taken]


def _start(state: State | None, weights: Weights) -> State:
    """Return the initial state: a value, or a constant that broadcasts to it."""
    if state is None:
        return torch.zeros(weights.hidden, dtype=torch.float64)
    return state


def _gates(
    build: Builder, name: str, x: Value, state: State, weights: Weights
) -> Value:
    """Return ``W x + R h + b`` of all the gates, one below the other."""
    dims = (*x.dims[:-1], weights.input.shape[0])
    bias = as_float(weights.bias) + as_float(weights.recurrent_bias)
    terms: list[tuple[Value, LinearMap]] = [(x, _matrix(weights.input, x))]
    if isinstance(state, Value):
        terms.append((state, _matrix(weights.recurrent, state)))
    else:
        bias = _constant(state, x.dims) @ as_float(weights.recurrent).T + bias
    return build.affine(name, terms, bias, dims)


def _matrix(weight: Tensor, x: Value) -> AlongAxis:
    return AlongAxis(as_float(weight), x.shape, x.axis(-1))


def _constant(state: Tensor, dims: Dims) -> Tensor:
    return sample_constant(as_float(state), (*dims[:-1], state.shape[-1]))


def _product(build: Builder, name: str, x: Value, y: State) -> Value:
    if isinstance(y, Value) and x.dims == y.dims:
        return build.coupled(name, [x, y], Product(), x.dims)
    return multiply(build, name, x, y)


def rnn(
    build: Builder,
    name: str,
    x: Value,
    weights: Weights,
    hidden: State | None = None,
    *,
    reverse: bool = False,
    activation: Activation = tanh,
) -> Unrolled:
    """Unroll ``h_t = f(W x_t + b + R h_{t-1} + b_r)``.

    Args:
        build: The builder.
        name: The layer's name; its steps are named ``name.t``.
        x: Inputs [time, N, features].
        weights: One gate.
        hidden: The first state, zero for nothing.
        reverse: Whether time runs backwards.
        activation: The function f.

    Raises:
        InvalidArgumentError: There is no fixed number of steps.
    """
    state = _start(hidden, weights)
    steps: dict[int, Value] = {}
    for t, step in _times(build, name, x, reverse):
        gates = _gates(build, f"{name}.{t}.sum", step, state, weights)
        state = steps[t] = activation(build, f"{name}.{t}", gates)
    ordered = [steps[t] for t in sorted(steps)]
    return Unrolled(steps=ordered, hidden=ordered[0] if reverse else ordered[-1])


def gru(
    build: Builder,
    name: str,
    x: Value,
    weights: Weights,
    hidden: State | None = None,
    *,
    reverse: bool = False,
    activations: tuple[Activation, Activation] = (sigmoid, tanh),
    reset_after: bool = True,
) -> Unrolled:
    """Unroll a gated recurrent unit, ``h_t = n + z (h_{t-1} - n)``.

    Args:
        build: The builder.
        name: The layer's name; its steps are named ``name.t``.
        x: Inputs [time, N, features].
        weights: Gates in the order update z, reset r, new n.
        hidden: The first state, zero for nothing.
        reverse: Whether time runs backwards.
        activations: Of the two gates, and of the new state.
        reset_after: Whether the reset gate multiplies ``R h + b_r``, as torch does, or
            the state before the matrix.

    Raises:
        InvalidArgumentError: There is no fixed number of steps.
    """
    state = _start(hidden, weights)
    steps: dict[int, Value] = {}
    for t, step in _times(build, name, x, reverse):
        label = f"{name}.{t}"
        sums = _gates(build, f"{label}.sums", step, state, weights.rows(0, 2))
        parts = activations[0](build, f"{label}.gates", sums)
        size = weights.hidden
        update, reset = split(build, f"{label}.gate", parts, [size, size], -1)
        fresh = weights.rows(2, 3)
        total = _new_state(build, label, step, state, reset, fresh, reset_after)
        new = activations[1](build, f"{label}.new", total)
        change = add(build, f"{label}.change", state, new, -1.0)
        kept = _product(build, f"{label}.kept", update, change)
        state = steps[t] = add(build, label, new, kept)
        build.cut(label, state)
    ordered = [steps[t] for t in sorted(steps)]
    return Unrolled(steps=ordered, hidden=ordered[0] if reverse else ordered[-1])


def _new_state(
    build: Builder,
    label: str,
    x: Value,
    state: State,
    reset: Value,
    weights: Weights,
    reset_after: bool,
) -> Value:
    """Return the argument of the new state's activation."""
    dims = (*x.dims[:-1], weights.hidden)
    inner = build.linear(
        f"{label}.input",
        x,
        dims,
        _matrix(weights.input, x),
        bias=as_float(weights.bias),
    )
    shift = as_float(weights.recurrent_bias)
    matrix = as_float(weights.recurrent)
    if not reset_after:
        scaled = _product(build, f"{label}.reset", reset, state)
        back = build.linear(
            f"{label}.state", scaled, dims, _matrix(matrix, scaled), bias=shift
        )
        return add(build, f"{label}.sum", inner, back)
    if isinstance(state, Value):
        seen: State = build.linear(
            f"{label}.state", state, dims, _matrix(matrix, state), bias=shift
        )
    else:
        seen = as_float(state) @ matrix.T + shift
    scaled = _product(build, f"{label}.reset", reset, seen)
    return add(build, f"{label}.sum", inner, scaled)


def lstm(
    build: Builder,
    name: str,
    x: Value,
    weights: Weights,
    hidden: State | None = None,
    cell: State | None = None,
    *,
    reverse: bool = False,
    activations: tuple[Activation, Activation, Activation] = (sigmoid, tanh, tanh),
) -> Unrolled:
    """Unroll ``c_t = f c_{t-1} + i g`` and ``h_t = o tanh(c_t)``.

    Args:
        build: The builder.
        name: The layer's name; its steps are named ``name.t``.
        x: Inputs [time, N, features].
        weights: Gates in the order input i, output o, forget f, cell g.
        hidden: The first state, zero for nothing.
        cell: The first cell, zero for nothing.
        reverse: Whether time runs backwards.
        activations: Of the gates, of the cell's update, and of the cell in the output.

    Raises:
        InvalidArgumentError: There is no fixed number of steps.
    """
    state, memory = _start(hidden, weights), _start(cell, weights)
    size = weights.hidden
    steps: dict[int, Value] = {}
    for t, step in _times(build, name, x, reverse):
        label = f"{name}.{t}"
        gates = _gates(build, f"{label}.sums", step, state, weights.rows(0, 3))
        parts = activations[0](build, f"{label}.gates", gates)
        write, read, keep = split(build, f"{label}.gate", parts, [size] * 3, -1)
        update = _gates(build, f"{label}.update", step, state, weights.rows(3, 4))
        fresh = activations[1](build, f"{label}.fresh", update)
        added = _product(build, f"{label}.written", write, fresh)
        kept = _product(build, f"{label}.kept", keep, memory)
        memory = add(build, f"{label}.cell", kept, added)
        build.cut(f"{label}.cell", memory)
        shown = activations[2](build, f"{label}.shown", memory)
        state = steps[t] = _product(build, label, read, shown)
    ordered = [steps[t] for t in sorted(steps)]
    last = ordered[0] if reverse else ordered[-1]
    # There is a step, so the cell is a value by now.
    final = memory if isinstance(memory, Value) else None
    return Unrolled(steps=ordered, hidden=last, cell=final)
