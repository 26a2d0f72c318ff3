"""``relulens preimage``: what the features of a layer determine, with certificates."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from relulens.cli.arrays import Rows, check_out
from relulens.cli.layers import layer_of
from relulens.cli.per_input import PerInput, per_input_options, write_answers
from relulens.errors import InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from relulens.graph.network import Network
    from relulens.preimage.result import Preimage


ABOUT = "model.json"
"""What names the model in a folder of certificates."""


@click.command()
@click.option(
    "--layer",
    required=True,
    metavar="NAME",
    help="Name or number of the layer (see describe).",
)
@click.option(
    "--scope",
    type=click.Choice(["layer", "region", "network"]),
    help="In what the layer reads, in the input on its region, or in all regions.",
)
@click.option(
    "--no-domain", is_flag=True, help="Among all inputs, not those in --domain only."
)
@click.option(
    "--certificates",
    metavar="DIR",
    help="Write a proof of every verdict there; `relulens verify` checks them.",
)
@per_input_options
def preimage(
    context: click.Context,
    model: str,
    layer: str,
    scope: str | None,
    no_domain: bool,
    certificates: str | None,
    out: str,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Write what a layer's features determine of every input.

    A verdict is singleton (the features determine the input), bounded, unbounded or
    undecided; beside it stand dimension, rank, active units, the units that are zero to
    rounding, the margin, and the verdicts of both readings of these units.
    """
    folder = None
    if certificates is not None:
        check_out(out, overwrite)
        folder = _folder(certificates, overwrite)
        about = json.dumps({"model": str(Path(model).resolve())})
        (folder / ABOUT).write_text(about, encoding="utf-8")
    written = _Counter()
    question = PerInput(
        words="pre-images",
        row_bytes=lambda network: 8 * network.input_size**2,
        answer=lambda network, x: _answer(
            network, x, layer, scope, no_domain, folder, written
        ),
    )
    return write_answers(
        context, question, model, out=out, overwrite=overwrite, as_json=as_json
    )


class _Counter:
    """Counts inputs over batches, for the names of files."""

    def __init__(self) -> None:
        """Start at none."""
        self.count = 0


def _folder(path: str, overwrite: bool) -> Path:
    folder = Path(path)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (overwrite and folder.is_dir()):
            raise InvalidArgumentError(
                f"cannot write certificates to {folder}: it holds"
                f" {len(list(folder.iterdir())) if folder.is_dir() else 1} files"
                " already. Name another folder, or pass --overwrite."
            )
        for old in folder.glob("preimage-*.npz"):
            old.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _answer(
    network: "Network",
    x: "Tensor",
    layer: str,
    scope: str | None,
    no_domain: bool,
    folder: Path | None,
    written: _Counter,
) -> Rows:
    import math

    from relulens.certificates.file import write_certificate
    from relulens.graph.domain import Box
    from relulens.preimage.preimage import preimage as preimages

    place = layer_of(layer)
    found = preimages(
        network,
        x,
        layer=0 if place is None else place,
        scope=_scope(scope),
        domain=Box(-math.inf, math.inf) if no_domain else None,
    )
    names = []
    for result in found:
        name = f"preimage-{written.count:06d}.npz"
        written.count += 1
        kept = folder is not None and result.certificate is not None
        if folder is not None and result.certificate is not None:
            write_certificate(folder / name, result.certificate)
        names.append(name if kept else "")
    rows = _columns(found)
    return rows if folder is None else {**rows, "certificate": _text(names)}


def _scope(text: str | None) -> Literal["layer", "region", "network"] | None:
    match text:
        case "layer" | "region" | "network":
            return text
        case _:
            return None


def _text(values: list[str]) -> "np.ndarray":
    import numpy as np

    return np.array(values, dtype=np.str_)


def _columns(found: "list[Preimage]") -> Rows:
    import numpy as np

    def known(values: list[float | int | None]) -> "np.ndarray":
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)

    def whole(values: list[int | None]) -> "np.ndarray":
        return np.array([-1 if v is None else v for v in values], dtype=np.int64)

    return {
        "verdict": _text([p.verdict for p in found]),
        "piece": _text([p.piece for p in found]),
        "dimension": whole([p.dimension for p in found]),
        "active": whole([p.active for p in found]),
        "inequalities": whole([p.inequalities for p in found]),
        "columns": whole([p.columns for p in found]),
        "rank": whole([p.rank for p in found]),
        "gap": known([p.gap for p in found]),
        "tight": whole([p.tight for p in found]),
        "boundary": whole([int(p.boundary.numel()) for p in found]),
        "if_zero": _text([p.readings[0] for p in found]),
        "if_positive": _text([p.readings[1] for p in found]),
        "margin": known([p.margin for p in found]),
        "pieces": whole([len(p.pieces) for p in found]),
        "complete": np.array([p.complete for p in found], dtype=np.bool_),
        "reason": _text([p.reason for p in found]),
    }
