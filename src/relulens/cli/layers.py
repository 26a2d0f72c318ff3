"""Options that name a layer."""

import math
from typing import TYPE_CHECKING

import click

from relulens.cli.options import Command

if TYPE_CHECKING:
    from relulens.graph.network import Network


def layer_options(command: Command) -> Command:
    """Add ``--layer`` and ``--at``."""
    at = click.option(
        "--at",
        type=click.Choice(["features", "preactivation"]),
        default="features",
        show_default=True,
        help="After the layer, or at its argument.",
    )
    layer = click.option(
        "--layer",
        metavar="NAME",
        help="Name or number of the layer (see describe); the output by default.",
    )
    return layer(at(command))


def layer_of(text: str | None) -> int | str | None:
    """Return the layer that an option names: a number is an index."""
    if text is not None and text.removeprefix("-").isdigit():
        return int(text)
    return text


def slope_bytes(network: "Network", layer: str | None, at: str) -> int:
    """Return the bytes of one dense slope from the input to a layer."""
    end = network.nodes[network.find(layer_of(layer), at)]
    return 8 * network.input_size * math.prod(end.shape)
