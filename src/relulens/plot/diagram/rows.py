"""Group a network's nodes into the rows of a diagram."""

from collections import Counter
from dataclasses import dataclass
from typing import Literal, TypeAlias

from relulens.graph.linear_map import Shape
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
from relulens.plot.diagram.labels import QUIET, node_label

Kind: TypeAlias = Literal[
    "input", "affine", "two-slope", "maximum", "smooth", "coupled"
]


@dataclass(frozen=True, slots=True)
class Step:
    """One operation in a row.

    Attributes:
        kind: Kind of its node.
        label: What it does.
    """

    kind: Kind
    label: str


@dataclass(frozen=True, slots=True)
class Row:
    """A chain of nodes that read only one another, drawn as one row.

    Attributes:
        steps: What they do, in order.
        shape: Shape of the last one's value.
        layers: Indices of the network's layers in the row.
        sources: Places of the rows that it reads; relative to its own, negative.
    """

    steps: tuple[Step, ...]
    shape: Shape
    layers: tuple[int, ...]
    sources: tuple[int, ...]

    @property
    def signature(self) -> tuple[object, ...]:
        """What makes two rows look alike."""
        return (self.steps, self.shape, self.sources)


@dataclass(frozen=True, slots=True)
class Link:
    """A link past at least one row, drawn beside the rows.

    Attributes:
        start: Place of the row that is read.
        end: Place of the row that reads it.
        lane: Distance from the rows, 0 the nearest.
    """

    start: int
    end: int
    lane: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """The rows of a diagram, with repeats folded.

    Attributes:
        rows: What is drawn, top to bottom.
        repeats: First and last place of what stands for several equal stretches, and
            how many.
        links: Links past rows.
        omitted: Place in front of which rows are left out, and how many, if any are.
    """

    rows: tuple[Row, ...]
    repeats: tuple[tuple[int, int, int], ...]
    links: tuple[Link, ...]
    omitted: tuple[int, int] | None = None


def network_rows(network: Network) -> list[Row]:
    """Return the rows of a network, one per chain, before folding."""
    needed = sorted(network.ancestors(network.output))
    chains = _chains(network, needed)
    place = {index: i for i, chain in enumerate(chains) for index in chain}
    layer_of = {node: i for i, item in enumerate(network.layers) for node in item.nodes}
    rows = []
    for i, chain in enumerate(chains):
        layers = sorted({layer_of[index] for index in chain if index in layer_of})
        read = sorted({place[s] - i for s in sources(network.nodes[chain[0]])})
        first = bool(sources(network.nodes[chain[0]]) == (0,))
        rows.append(
            Row(
                steps=_worth_saying(_named(network, chain), first=first),
                shape=network.nodes[chain[-1]].shape,
                layers=tuple(layers),
                sources=tuple(read),
            )
        )
    return rows


def _chains(network: Network, needed: list[int]) -> list[list[int]]:
    """Return the needed nodes as chains; a chain ends at its first nonlinear layer."""
    readers = Counter(s for i in needed for s in set(sources(network.nodes[i])))
    inside, ends_layer = _several(network)
    chains: list[list[int]] = []
    ends: dict[int, list[int]] = {}
    for index in needed:
        read = set(sources(network.nodes[index]))
        before = read.pop() if len(read) == 1 else -1
        goes_on = isinstance(network.nodes[before], Affine) and before not in ends_layer
        same = before in inside and inside[before] == inside.get(index)
        alone = before in ends and readers[before] == 1
        chain = ends.pop(before) if alone and (goes_on or same) else []
        if not chain:
            chains.append(chain)
        chain.append(index)
        ends[index] = chain
    # a chain is finished where its last node is, so that rows stay in order
    return sorted(chains, key=lambda chain: chain[-1])


def _several(network: Network) -> tuple[dict[int, int], set[int]]:
    """Return the nodes inside layers of several nodes, and where these layers end."""
    inside: dict[int, int] = {}
    ends: set[int] = set()
    for number, layer in enumerate(network.layers):
        if len(layer.nodes) > 1:
            span = range(layer.nodes[0], layer.output + 1)
            within = network.ancestors(layer.output)
            inside.update({i: number for i in span if i in within})
            ends.add(layer.output)
    return inside, ends


def _kind(node: Node) -> Kind:
    match node:
        case Input():
            return "input"
        case Affine():
            return "affine"
        case TwoSlope():
            return "two-slope"
        case Maximum():
            return "maximum"
        case Smooth():
            return "smooth"
        case Coupled():
            return "coupled"


def _named(network: Network, chain: list[int]) -> list[Step]:
    """Return the steps of a chain; a layer of several nodes is one step."""
    inside, _ = _several(network)
    steps: list[Step] = []
    met: set[int] = set()
    for index in chain:
        node, layer = network.nodes[index], inside.get(index)
        if layer is None:
            steps.append(Step(_kind(node), node_label(node)))
        elif layer not in met:
            met.add(layer)
            steps.append(Step(_kind(node), network.layers[layer].operation))
    return steps


def _worth_saying(steps: list[Step], *, first: bool) -> tuple[Step, ...]:
    """Return the steps of a chain without what says little beside the others.

    Args:
        steps: All steps.
        first: Whether the chain reads the input, so that scaling it is worth a word.
    """
    small = {*QUIET, "shift", "identity"}
    loud = [step for step in steps if step.kind != "affine" or step.label not in small]
    heard = list(
        dict.fromkeys(step.label for step in steps if step.label in {"shift", "scale"})
    )
    if first and heard and steps[0].label in heard:
        return (Step("affine", ", ".join(heard)), *loud)
    return tuple(loud) or (steps[0],)
