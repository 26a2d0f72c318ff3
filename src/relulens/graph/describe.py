"""Describe a network: a row per node."""

import dataclasses
from collections.abc import Iterator
from typing import TypeAlias, assert_never

import pandas as pd
import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError, UnsupportedOperationError
from relulens.graph.cost import node_cost
from relulens.graph.linear_map import LinearMap
from relulens.graph.network import Network
from relulens.graph.nodes import (
    Affine,
    Coupled,
    Input,
    Maximum,
    Node,
    Smooth,
    TwoSlope,
    sources,
)

Row: TypeAlias = dict[str, object]

EXACT = "everything"
TANGENT = "values and slopes"


def describe(subject: object, /) -> pd.DataFrame:
    """Return a table of a network's nodes, or of as many as could be imported.

    Args:
        subject: The network, or the error that stopped its import.

    Returns:
        A row per node: ``name``, ``kind``, ``layer`` (name of the nonlinear operation
        that it is part of), ``operation``, ``shape``, ``reads``, ``coefficients``
        (numbers it holds), ``parameters`` (names in the source), ``slopes`` (least and
        largest, of nonlinear nodes that have some), ``multiply_adds`` (about, for one
        input) and ``exact``: what is answered exactly about its value, ``"everything"``
        where all that it depends on is piecewise affine. A node without a rule has
        kind ``"unsupported"`` and the reason. ``attrs["lines"]`` stands above the
        table: sizes, totals, agreement with the source, notes.

    Raises:
        InvalidArgumentError: The subject is neither.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], [0.5])])
        >>> describe(network)["kind"].tolist()
        ['Input', 'Affine', 'TwoSlope', 'Affine']
    """
    if isinstance(subject, Network):
        table = pd.DataFrame(list(_rows(subject)))
        table.attrs["lines"] = list(_lines(subject))
        return table
    if not isinstance(subject, UnsupportedOperationError):
        raise InvalidArgumentError(
            f"cannot describe a {type(subject).__name__}: 1 network is needed. Import"
            " it first with relulens.load or relulens.from_torch."
        )
    done = subject.partial
    rows = list(_rows(done)) if isinstance(done, Network) else []
    table = pd.DataFrame([*rows, *_offending(subject)])
    table.attrs["lines"] = [
        f"{len(rows)} nodes imported, {len(subject.nodes)} without a rule"
    ]
    return table


def _lines(network: Network) -> Iterator[str]:
    yield repr(network)
    stored = sum(_coefficients(node) for node in network.nodes)
    work = sum(node_cost(network, node) for node in network.nodes)
    yield f"{stored:,} coefficients, about {work:,} multiply-adds an input"
    origin = network.provenance
    if origin.path is not None:
        yield f"from {origin.path}"
    found = origin.agreement
    if found is None:
        yield "not compared with its source"
    else:
        yield (
            f"agrees with {found.source} on {found.samples} inputs: largest relative"
            f" difference {found.difference:.2g}"
        )
    yield from origin.notes


def _rows(network: Network) -> Iterator[Row]:
    layers = {i: layer for layer in network.layers for i in layer.nodes}
    exact: list[bool] = []
    for index, node in enumerate(network.nodes):
        read = sources(node)
        own = isinstance(node, Input | Affine | TwoSlope | Maximum)
        exact.append(own and all(exact[i] for i in read))
        layer = layers.get(index)
        yield {
            "name": node.name,
            "kind": type(node).__name__,
            "layer": "" if layer is None else layer.name,
            "operation": "" if layer is None else layer.operation,
            "shape": str(list(node.shape)),
            "reads": ", ".join(network.nodes[i].name for i in read),
            "coefficients": _coefficients(node),
            "parameters": _parameters(node),
            "slopes": _slopes(node),
            "multiply_adds": node_cost(network, node),
            "exact": EXACT if exact[-1] else TANGENT,
        }


def _offending(error: UnsupportedOperationError) -> Iterator[Row]:
    for node in error.nodes:
        yield {
            "name": node.name,
            "kind": "unsupported",
            "layer": "",
            "operation": node.operation,
            "shape": "",
            "reads": "",
            "coefficients": 0,
            "parameters": "",
            "slopes": "",
            "multiply_adds": 0,
            "exact": f"nothing: {node.reason}",
        }


def _parameters(node: Node) -> str:
    return ", ".join(node.parameters) if isinstance(node, Affine) else ""


def _slopes(node: Node) -> str:
    """Return the least and the largest slope, where a node has componentwise ones."""
    match node:
        case Input() | Affine() | Coupled():
            return ""
        case TwoSlope(negative=negative, positive=positive):
            both = torch.cat([negative.reshape(-1), positive.reshape(-1)])
            return f"{both.min().item():.3g}..{both.max().item():.3g}"
        case Maximum():
            return "0..1"
        case Smooth(function=function):
            return f"{function.slopes[0]:.3g}..{function.slopes[1]:.3g}"
        case _:
            assert_never(node)


def _coefficients(node: Node) -> int:
    """Return how many numbers a node holds, as they are stored."""
    match node:
        case Input() | Maximum() | Smooth() | Coupled():
            return 0
        case TwoSlope(negative=negative, positive=positive):
            return negative.numel() + positive.numel()
        case Affine(terms=terms, bias=bias):
            stored = sum(_stored(term.map) for term in terms)
            return stored + (0 if bias is None else bias.numel())
    assert_never(node)


def _stored(part: object) -> int:
    if isinstance(part, Tensor):
        return part.numel() if part.is_floating_point() else 0
    if isinstance(part, tuple):
        return sum(map(_stored, part))
    if isinstance(part, LinearMap) and dataclasses.is_dataclass(part):
        return sum(_stored(getattr(part, f.name)) for f in dataclasses.fields(part))
    return 0
