"""``relulens region``: the region around every input, as arrays."""

from typing import TYPE_CHECKING

import click

from relulens.cli.arrays import Rows
from relulens.cli.per_input import PerInput, per_input_options, write_answers

if TYPE_CHECKING:
    from torch import Tensor

    from relulens.graph.network import Network


@click.command()
@click.option(
    "--faces",
    type=click.Choice(["effective", "all"]),
    default="effective",
    show_default=True,
    help="Faces where the output's affine map changes, or those of all units.",
)
@click.option("--no-codes", is_flag=True, help="Leave the patterns out.")
@click.option(
    "--inequalities", is_flag=True, help="Write A and b of the region too: A x <= b."
)
@per_input_options
def region(
    context: click.Context,
    model: str,
    faces: str,
    no_codes: bool,
    inequalities: bool,
    out: str,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Write every input's region: pattern, distance to its border.

    The pattern is one code a unit, layer by layer. The distance is the exact Euclidean
    distance to the nearest face, with the layer and the unit that switch there.
    """
    question = PerInput(
        words="regions",
        row_bytes=lambda network: _row_bytes(network, inequalities),
        answer=lambda network, x: {
            **_nearest(network, x, faces),
            **({} if no_codes else _codes(network, x)),
            **(_inequalities(network, x) if inequalities else {}),
        },
    )
    return write_answers(
        context, question, model, out=out, overwrite=overwrite, as_json=as_json
    )


def _row_bytes(network: "Network", inequalities: bool) -> int:
    rows = network.state_size if inequalities else 1
    return 8 * (network.state_size + rows * network.input_size)


def _nearest(network: "Network", x: "Tensor", faces: str) -> Rows:
    import numpy as np

    from relulens.local.boundary import boundary_distance

    found = boundary_distance(network, x, faces=faces)
    status = [reason or "ok" for reason in found.reasons]
    return {
        "distance": found.distance.numpy(force=True),
        "layer": np.array([name or "" for name in found.layer], dtype=np.str_),
        "unit": found.unit.numpy(force=True),
        "normal": found.normal.numpy(force=True),
        "status": np.array(status, dtype=np.str_),
    }


def _codes(network: "Network", x: "Tensor") -> Rows:
    from relulens.local.pattern import activation_pattern

    pattern = activation_pattern(network, x)
    return {f"code/{name}": pattern[name].numpy(force=True) for name in pattern}


def _inequalities(network: "Network", x: "Tensor") -> Rows:
    import numpy as np

    from relulens.graph.linear_map import BYTE_LIMIT, check_bytes
    from relulens.local.polytope import region_polytope

    regions = region_polytope(network, x)
    rows = max((len(region) for region in regions), default=0)
    check_bytes(
        "the inequalities of the regions",
        8 * len(regions) * rows * network.input_size,
        BYTE_LIMIT,
        "Leave --inequalities out, or use rl.region_polytope, which needs no matrix.",
    )
    matrices = [region.A.to_dense().numpy(force=True) for region in regions]
    empty = np.empty((0, rows, network.input_size))
    return {
        "A": np.stack(matrices) if matrices else empty,
        "b": np.stack([region.b.numpy(force=True) for region in regions])
        if regions
        else empty[..., 0],
    }
