"""Read a data set from a file or folder, or take it from memory."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from relulens.data.arrangement import Layout
from relulens.data.arrays import read_npy, read_npz
from relulens.data.data_set import DataSet
from relulens.data.fitting import Choice, fitted
from relulens.data.idx import is_idx, read_idx
from relulens.data.images import image_files, read_images
from relulens.data.source import Source
from relulens.data.tables import read_table
from relulens.errors import DataError, InvalidArgumentError
from relulens.graph.network import Network

KINDS = (
    ".npz, .npy, .parquet, .csv, an IDX file or folder (MNIST), or a folder of images"
)


def read_data(
    path: str | Path,
    network: Network | None = None,
    *,
    samples: int | None = None,
    seed: int = 0,
    layout: Layout | None = None,
    scale: float | None = None,
    label: str | None = None,
) -> DataSet:
    """Return the data set that a file or folder holds.

    The numbers are used as they are, divided by ``scale`` if it is given; nothing else
    is done to them but what ``arrangement`` says.

    Args:
        path: An ``.npz`` (x, y), ``.npy``, ``.parquet`` or ``.csv`` file, an IDX file
            or a folder of them, or a folder of images with a subfolder per class.
        network: The network that the inputs are for; shape, labels and domain are
            checked.
        samples: How many rows to use, chosen at random; all by default.
        seed: Seed of that choice.
        layout: ``"NHWC"`` if the data have their channels last, ``"NCHW"`` if first.
        scale: What every number is divided by.
        label: The label's column or array, if it is not called as usual.

    Returns:
        The data set, which reads its rows when asked.

    Raises:
        DataError: Nothing usable is there, it is broken, labels are out of range, or
            the numbers leave the network's domain.
        ShapeError: The inputs do not fit the network.
        NotFiniteError: A number is NaN or infinite.
        InvalidArgumentError: An option is outside what it can be.

    Cost:
        One pass over the rows used, for their range and hash.
    """
    choice = Choice(samples=samples, seed=seed, layout=layout, scale=scale)
    named = "" if label is None else f", label={label!r}"
    found = replace(_source(Path(path), label), recipe=f"read_data({str(path)!r}, ")
    read = fitted(found, network, choice)
    return replace(read, recipe=f"{read.recipe[:-1]}{named})")


def array_data(
    x: object,
    labels: object = None,
    network: Network | None = None,
    *,
    samples: int | None = None,
    seed: int = 0,
    source: str = "array",
) -> DataSet:
    """Return the data set of arrays in memory.

    Args:
        x: Inputs [N, *input_shape], numpy or torch.
        labels: Class numbers [N], or nothing.
        network: The network that the inputs are for.
        samples: How many rows to use, chosen at random; all by default.
        seed: Seed of that choice.
        source: What they are called.

    Raises:
        ShapeError: The inputs do not fit the network, or have no batch axis.
        DataError: Labels are wrong, or the numbers leave the network's domain.
        NotFiniteError: A number is NaN or infinite.
        InvalidArgumentError: ``samples`` is negative.
    """
    rows = _numbers(x)
    if network is not None and rows.shape[1:] != network.input_shape:
        network.as_input(torch.zeros((), dtype=network.dtype).expand(rows.shape))
    found = None if labels is None else np.asarray(_numbers(labels))
    read = Source(
        rows=rows,
        labels=found,
        title=source,
        format="array",
        recipe="array_data(x, y, ",
    )
    return fitted(read, network, Choice(samples=samples, seed=seed))


def _numbers(values: object) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        plain = values.detach().cpu()
        return (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    return np.asarray(values)


def _source(path: Path, label: str | None) -> Source:
    if not path.exists():
        raise DataError(
            f"cannot read {path}: there is no such file or folder. Pass {KINDS}."
        )
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return read_npz(path, label)
    if suffix in {".parquet", ".csv"}:
        return read_table(path, label)
    if label is not None:
        raise InvalidArgumentError(
            f"cannot take label={label!r} of {path}: only .npz, .parquet and .csv files"
            " name their parts. Leave it out."
        )
    if suffix == ".npy":
        return read_npy(path)
    return _folder(path)


def _folder(path: Path) -> Source:
    if not path.is_dir():
        if is_idx(path):
            return read_idx(path)
        raise DataError(
            f"cannot read {path}: {path.suffix or 'a file without ending'} is none of"
            f" the kinds known. Pass {KINDS}."
        )
    if any(is_idx(file) for file in path.iterdir()):
        return read_idx(path)
    if image_files(path):
        return read_images(path)
    inside = sorted(file.name for file in path.iterdir())
    shown = ", ".join(inside[:8]) + (", …" if len(inside) > 8 else "")
    raise DataError(
        f"cannot read {path}: none of the {len(inside)} things in it is usable"
        f" ({shown or 'it is empty'}). Pass {KINDS}."
    )
