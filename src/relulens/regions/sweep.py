"""Carry a complex through a network, cutting it at every nonlinear node."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.linear_map import LinearMap
from relulens.graph.nodes import Input, Maximum, TwoSlope, sources
from relulens.graph.polyhedral import Polyhedral
from relulens.regions.complex import Complex
from relulens.regions.exact import ExactValues, Whole, whole_numbers
from relulens.regions.values import Rounded, step

Value = Callable[[list[int], int], Whole]


@dataclass(slots=True, eq=False, kw_only=True)
class Sweep:
    """A complex on its way through a network.

    Attributes:
        region: The network up to the node asked about.
        complex: The cells so far.
        budget: Most cells.
        label: Label of the next function's facets.
        exact: Gives values in whole numbers.
        codes: Codes [cells, size] of the nonlinear nodes passed, by node.
        facets: For each pass the first label, the node, and the unit of each function.
        complete: Whether the budget was enough so far.
    """

    region: Polyhedral
    complex: Complex
    budget: int
    label: int
    exact: ExactValues
    codes: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    facets: list[tuple[int, int, NDArray[np.int64]]] = field(default_factory=list)
    complete: bool = True
    _values: dict[int, Rounded] = field(default_factory=dict)
    _absolutes: dict[int, LinearMap] = field(default_factory=dict)

    @property
    def inputs(self) -> int:
        """Entries of one input."""
        return self.region.network.input_size

    def clip_one(self, place: int, row: NDArray[np.float64], bound: float) -> None:
        """Cut away where ``row x > bound``; the new facets have label ``place``."""
        held = self.complex
        n = self.inputs
        weights = np.append(-row, bound)
        value = held.rows[:, : n + 1] @ weights
        size = np.abs(held.rows[:, : n + 1]) @ np.abs(weights)
        error = held.errors * np.abs(weights).sum() + (n + 4) * 2.0**-52 * size
        held.rows = np.column_stack([held.rows[:, : n + 1], value])
        held.errors = np.maximum(held.errors, error)

        whole = whole_numbers(weights.tolist())

        def exactly(point: list[int], _: int) -> Whole:
            numbers, shift = whole
            total = sum(a * b for a, b in zip(numbers, point, strict=True))
            return [total], shift

        held.cut(
            np.array([n + 1]),
            error[:, None],
            exactly,
            label=place,
            clip=True,
            budget=self.budget,
        )
        held.rows = np.ascontiguousarray(held.rows[:, : n + 1])

    def run(self, visit: Callable[[int], None]) -> None:
        """Cut by every nonlinear node in turn.

        Args:
            visit: Called with a node's index once all cells were cut by it.
        """
        last = max((index for index, _ in self.region.nonlinear()), default=-1)
        order = [index for index in sorted(self.region.nodes) if index <= last]
        for index in order:
            if index == order[0]:
                self._values[index] = self._input()
                continue
            node = self.region.nodes[index]
            self._cut(index)
            if not self.complete:
                return
            if index < last and not isinstance(node, Input):
                value = step(node, self._values, self._t(), self._absolutes)
                self._values[index] = value
                self._free(index, order)
            if isinstance(node, TwoSlope | Maximum):
                visit(index)

    def _cut(self, index: int) -> None:
        node = self.region.nodes[index]
        if isinstance(node, TwoSlope):
            self._two_slope(index, node)
        elif isinstance(node, Maximum):
            self._maximum(index, node)

    def _input(self) -> Rounded:
        held, n = self.complex, self.inputs
        shape = (-1, *self.region.network.input_shape)
        error = np.repeat(held.errors[:, None], n, axis=1)
        x = np.ascontiguousarray(held.rows[:, :n])
        return Rounded(
            torch.from_numpy(x).reshape(shape), torch.from_numpy(error).reshape(shape)
        )

    def _t(self) -> Rounded:
        held = self.complex
        t = held.rows[:, self.inputs]
        # Finite vertices keep t = 1 exactly, as mixtures of ones.
        error = np.where(t == 1.0, 0.0, held.errors)
        return Rounded(torch.from_numpy(t.copy()), torch.from_numpy(error))

    def _free(self, index: int, order: Sequence[int]) -> None:
        later = [i for i in order if i > index]
        read = {j for i in later for j in sources(self.region.nodes[i])}
        for held in [i for i in self._values if i not in read]:
            del self._values[held]

    def _two_slope(self, index: int, node: TwoSlope) -> None:
        bends = (node.positive != node.negative).expand(node.shape).flatten()
        units = bends.nonzero().flatten().numpy()
        z = self._values[node.source]
        flat = (z.value.flatten(1)[:, units], z.error.flatten(1)[:, units])

        def exactly(point: list[int], unit: int) -> Whole:
            numbers, shift = self.exact.at(point, node.source)
            return [numbers[units[unit]]], shift

        on = self._pass(index, flat, exactly, units)
        code = np.zeros((self.complex.count, bends.numel()), np.int64)
        code[:, units] = on
        self.codes[index] = code

    def _maximum(self, index: int, node: Maximum) -> None:
        table, real = (part.numpy() for part in node.groups.ragged.padded())
        winner = np.repeat(table[None, :, 0], self.complex.count, axis=0)
        self.codes[index] = winner
        for column in range(1, table.shape[1]):
            rows = np.nonzero(real[:, column])[0]
            self._fold(index, node, table, rows, column)
            if not self.complete:
                return

    def _fold(
        self,
        index: int,
        node: Maximum,
        table: NDArray[np.int64],
        groups: NDArray[np.int64],
        column: int,
    ) -> None:
        """Compare one more entry of every group with the largest one so far."""
        z = self._values[node.source]
        value, error = z.value.flatten(1), z.error.flatten(1)
        before = torch.from_numpy(table[groups, :column])
        entry = torch.from_numpy(table[groups, column])
        difference = value[:, entry] - value[:, before].amax(-1)
        off = error[:, entry] + error[:, before].amax(-1)
        off = off + 2.0**-52 * (value[:, entry].abs() + difference.abs())
        same = (value[:, entry] == 0) & (value[:, before] == 0).all(-1) & (off == 0)
        off = torch.where(same, 0.0, off)

        def exactly(point: list[int], unit: int) -> Whole:
            numbers, shift = self.exact.at(point, node.source)
            read = table[groups[unit], : column + 1].tolist()
            return [numbers[read[-1]] - max(numbers[i] for i in read[:-1])], shift

        on = self._pass(index, (difference, off), exactly, groups)
        code = self.codes[index]
        code[:, groups] = np.where(on, table[None, groups, column], code[:, groups])

    def _pass(
        self,
        index: int,
        functions: tuple[Tensor, Tensor],
        exactly: Value,
        units: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Cut all cells by functions given at the vertices; carry all values along.

        Returns:
            Which functions are positive on each new cell.
        """
        held, n = self.complex, self.inputs
        value, error = (part.numpy() for part in functions)
        if not len(units):
            return np.zeros((held.count, 0), bool)
        parts = [held.rows[:, : n + 1], value]
        kept = list(self._values)
        parts += [self._values[i].value.flatten(1).numpy() for i in kept]
        worst = [self._values[i].error.flatten(1).numpy() for i in kept] + [error]
        held.rows = np.concatenate(parts, axis=1)
        held.errors = np.maximum.reduce([
            held.errors,
            *(part.max(axis=1, initial=0.0) for part in worst),
        ])
        place = self.label
        self.label += len(units)
        self.facets.append((place, index, units))
        parent, words, self.complete = held.cut(
            n + 1 + np.arange(len(units)),
            np.ascontiguousarray(error),
            exactly,
            label=place,
            clip=False,
            budget=self.budget,
        )
        self._unpack(kept, n + 1 + len(units))
        for node, code in self.codes.items():
            self.codes[node] = code[parent]
        wide = np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")
        return wide[:, : len(units)].astype(bool)

    def _unpack(self, kept: Sequence[int], first: int) -> None:
        held = self.complex
        nodes = self.region.nodes
        for index in kept:
            shape = nodes[index].shape
            size = math.prod(shape)
            value = np.ascontiguousarray(held.rows[:, first : first + size])
            error = np.repeat(held.errors[:, None], size, axis=1)
            old = self._values[index].error.flatten(1).numpy()
            error[: len(old)] = old
            self._values[index] = Rounded(
                torch.from_numpy(value).reshape(-1, *shape),
                torch.from_numpy(error).reshape(-1, *shape),
            )
            first += size
        held.rows = np.ascontiguousarray(held.rows[:, : self.inputs + 1])
