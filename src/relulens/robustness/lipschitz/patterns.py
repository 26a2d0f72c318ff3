"""The patterns that are left on small boxes, their slopes, and whether they occur."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from relulens.graph.freeze import Frozen, frozen_part
from relulens.graph.nodes import Affine, Maximum, TwoSlope
from relulens.graph.polyhedral import Polyhedral
from relulens.local.redundancy import largest_ball
from relulens.robustness.lipschitz.gates import Gates
from relulens.robustness.lipschitz.problem import Problem

THIN = 1e-9
"""Regions with a smaller radius, relative to the box, count as having no inside."""

_STEPS = 1e3
"""Half a side of the box in the solver's units: its tolerance is 1e-7 of one."""


def patterns(problem: Problem, can: Gates, box: int) -> Frozen:
    """Return all patterns that gates allow on one box, as a frozen network.

    Args:
        problem: What is asked.
        can: What nonlinear nodes can do.
        box: Which of the boxes.
    """
    places: list[tuple[int, int, tuple[int, ...]]] = []
    base: dict[int, Tensor] = {}
    for index, node in problem.region.nonlinear():
        if isinstance(node, TwoSlope):
            base[index] = can.on[index][box].flatten()
            some = can.open[index][box].flatten().nonzero().flatten().tolist()
            places += [(index, unit, (0, 1)) for unit in some]
        else:
            base[index] = _groups(places, index, node, can.candidates[index][box])
    table = list(itertools.product(*(options for _, _, options in places)))
    gates_ = {index: part.repeat(len(table), 1) for index, part in base.items()}
    chosen = torch.tensor(table, dtype=torch.int64, device=problem.low.device)
    for column, (index, unit, _) in enumerate(places):
        gates_[index][:, unit] = chosen[:, column].to(gates_[index].dtype)
    nodes = problem.network.nodes
    return Frozen(
        network=problem.network,
        x=problem.low.new_zeros((len(table), *problem.network.input_shape)),
        end=problem.region.end,
        gates={
            index: part.reshape(len(table), *nodes[index].shape)
            for index, part in gates_.items()
        },
        arguments={},
        values={},
    )


def _groups(
    places: list[tuple[int, int, tuple[int, ...]]],
    index: int,
    node: Maximum,
    candidates: Tensor,
) -> Tensor:
    """Return the first candidate of every group, and note those that have several."""
    table = node.groups.ragged.padded()[0].to(candidates.device)
    first = candidates.to(torch.int64).argmax(1, keepdim=True)
    for group in (candidates.sum(1) > 1).nonzero().flatten().tolist():
        entries = table[group][candidates[group]].tolist()
        places.append((index, group, tuple(entries)))
    return table.gather(1, first).squeeze(1)


def _affine_form(node: Affine, forms: dict[int, Tensor], start: Tensor) -> Tensor:
    total = start.new_zeros((start.shape[0], *node.shape))
    for term in node.terms:
        total = total + term.map.apply(forms[term.source])
    if node.bias is not None:
        total[-1] += node.bias
    return total


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Inside:
    """The largest ball of a region within a box, in units of half its sides.

    Attributes:
        radius: Its radius, negative if the region has no point.
        point: Its centre [*input_shape], in units of the input; nothing if none.
    """

    radius: float
    point: Tensor | None


def inequalities(
    region: Polyhedral, one: Frozen, forms: Mapping[int, Tensor]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the inequalities ``rows u <= right`` of a pattern's closed region.

    Args:
        region: The network.
        one: One pattern.
        forms: Every value on it, from ``affine_forms``.

    Returns:
        A row a unit, and one a loser of each maximum, in the order of ``flips``.
    """
    rows: list[Tensor] = []
    for index, node in region.nonlinear():
        form = forms[node.source].flatten(1)
        gate = one.gates[index][0].flatten()
        if isinstance(node, TwoSlope):
            rows.append(torch.where(gate, -form, form)[:, _bends(node)])
        else:
            table, loses = losers(node, gate)
            rows.append((form[:, table] - form[:, gate][:, :, None])[:, loses])
    width = forms[0].shape[0]
    if not rows:
        return np.zeros((0, width - 1)), np.zeros(0)
    whole = torch.cat(rows, 1).numpy(force=True)
    return np.ascontiguousarray(whole[:-1].T), -whole[-1]


def _bends(node: TwoSlope) -> Tensor:
    return (node.positive != node.negative).expand(node.shape).flatten()


def losers(node: Maximum, gate: Tensor) -> tuple[Tensor, Tensor]:
    """Return the table of a maximum's groups, and which entries of it do not win."""
    table, real = (part.to(gate.device) for part in node.groups.ragged.padded())
    return table, real & (table != gate[:, None])


def flips(region: Polyhedral, one: Frozen) -> list[tuple[int, int, int]]:
    """Return what lies across every inequality: node, unit or group, and new gate."""
    found: list[tuple[int, int, int]] = []
    for index, node in region.nonlinear():
        gate = one.gates[index][0].flatten()
        if isinstance(node, TwoSlope):
            units = _bends(node).nonzero().flatten().tolist()
            found += [(index, unit, int(not gate[unit])) for unit in units]
        else:
            table, loses = losers(node, gate)
            groups, columns = loses.nonzero(as_tuple=True)
            entries = table[groups, columns].tolist()
            found += [
                (index, group, entry)
                for group, entry in zip(groups.tolist(), entries, strict=True)
            ]
    return found


def affine_forms(
    region: Polyhedral, one: Frozen, free: Tensor, middle: Tensor, reach: Tensor
) -> dict[int, Tensor]:
    """Return every value on a pattern as an affine map of u, by node.

    Args:
        region: The network.
        one: One pattern.
        free: Which entries of the flattened input can change.
        middle: Where u is zero [*input_shape].
        reach: Units of u, for every free entry: the input is ``middle + reach * u``.

    Returns:
        The linear parts and the constant, which comes last [free + 1, *shape].
    """
    width = reach.numel()
    start = middle.new_zeros((width + 1, middle.numel()))
    start[torch.arange(width), free.nonzero().flatten()] = reach
    start[-1] = middle.flatten()
    forms = {0: start.reshape(width + 1, *middle.shape)}
    nodes = region.network.nodes
    for index in sorted(region.nodes):
        node = nodes[index]
        if isinstance(node, Affine):
            forms[index] = _affine_form(node, forms, start)
        elif isinstance(node, TwoSlope):
            gate = one.gates[index]
            forms[index] = forms[node.source] * torch.where(
                gate, node.positive, node.negative
            )
        elif isinstance(node, Maximum):
            winner = one.gates[index][0].flatten()
            flat = forms[node.source].flatten(1)[:, winner]
            forms[index] = flat.reshape(width + 1, *node.shape)
    return forms


def inside(problem: Problem, frozen: Frozen, place: int) -> Inside:
    """Return the largest ball of a pattern's region within the problem's box.

    Args:
        problem: What is asked.
        frozen: Patterns.
        place: Which of them.

    Cost:
        One small linear program.
    """
    one = frozen_part(frozen, slice(place, place + 1))
    middle = (problem.low + problem.high) / 2
    half = ((problem.high - problem.low) / 2).flatten()[problem.free]
    forms = affine_forms(problem.region, one, problem.free, middle, half)
    rows, right = inequalities(problem.region, one, forms)
    norms = np.linalg.norm(rows, axis=1)
    constant = norms <= 1e-13 * (np.abs(right) + norms.max(initial=0.0))
    if bool((right[constant] < -1e-9 * np.abs(right).max(initial=0.0)).any()):
        return Inside(radius=-1.0, point=None)
    return _ball(problem, rows, right, constant, middle, half)


def _ball(
    problem: Problem,
    rows: NDArray[np.float64],
    right: NDArray[np.float64],
    constant: NDArray[np.bool_],
    middle: Tensor,
    half: Tensor,
) -> Inside:
    side = torch.full((half.numel(),), _STEPS, dtype=torch.float64)
    ball = largest_ball(
        rows, right * _STEPS, constant, np.zeros(half.numel()), box=(-side, side)
    )
    moved = middle.flatten().clone()
    step = ball.centre.to(moved.device) / _STEPS
    moved[problem.free] += half * step
    point = torch.minimum(
        torch.maximum(moved.reshape(middle.shape), problem.low), problem.high
    )
    return Inside(radius=ball.radius / _STEPS, point=point)
