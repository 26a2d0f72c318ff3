"""Read IDX files, the format of MNIST, compressed or not."""

import gzip
import math
import re
import zlib
from pathlib import Path

import numpy as np

from relulens.data.source import Source
from relulens.errors import DataError

_NAME = re.compile(
    r"^(?P<stem>.*?)[-_.]?(?P<what>images|labels)[-_.]idx\d[-_.]ubyte(\.gz)?$"
)
_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def is_idx(path: Path) -> bool:
    """Tell whether a file is called as IDX files are."""
    return _NAME.match(path.name) is not None


def read_idx_array(path: Path) -> np.ndarray:
    """Return the array of one IDX file; uncompressed ones are read as needed.

    Raises:
        DataError: The file is not IDX, or shorter or longer than its header says.
    """
    try:
        opened = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as file:
            head = file.read(4)
            dtype = (
                _TYPES.get(head[2]) if len(head) == 4 and head[:2] == b"\0\0" else None
            )
            if dtype is None:
                raise DataError(
                    f"cannot read {path}: it starts with {head.hex()!r}, and an IDX"
                    " file starts with 0000. Is it another format, or compressed twice?"
                )
            lengths = file.read(4 * head[3])
            shape = tuple(int(n) for n in np.frombuffer(lengths, dtype=">u4"))
            content = file.read() if path.suffix == ".gz" else None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(
            f"cannot read {path}: {error}. Is the file complete?"
        ) from error
    start = 4 + 4 * head[3]
    size = path.stat().st_size - start if content is None else len(content)
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    if size != needed or len(shape) != head[3]:
        raise DataError(
            f"cannot read {path}: its header says {needed} bytes of shape"
            f" {list(shape)}, and {size} follow. Is the file complete?"
        )
    if content is None:
        return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape)
    return np.frombuffer(content, dtype=dtype).reshape(shape)


def read_idx(path: Path) -> Source:
    """Return images and labels of a folder of IDX files, or of one images file.

    The test set is taken if there is one.

    Raises:
        DataError: No images file, several that could be meant, or labels of another
            number.
    """
    folder = path if path.is_dir() else path.parent
    files = {}
    for file in sorted(folder.iterdir()):
        if match := _NAME.match(file.name):
            files.setdefault((match["stem"], match["what"]), file)
    stems = [stem for stem, what in files if what == "images"]
    stem, notes = _chosen(path, stems)
    images = read_idx_array(files[stem, "images"])
    if (stem, "labels") not in files:
        title = files[stem, "images"].name
        return Source(rows=images, title=title, format="idx", notes=notes)
    labels = read_idx_array(files[stem, "labels"])
    title = f"{files[stem, 'images'].name}, {files[stem, 'labels'].name}"
    return Source(rows=images, labels=labels, title=title, format="idx", notes=notes)


def _chosen(path: Path, stems: list[str]) -> tuple[str, tuple[str, ...]]:
    if (
        not path.is_dir()
        and (match := _NAME.match(path.name))
        and match["stem"] in stems
    ):
        return match["stem"], ()
    tests = [stem for stem in stems if "t10k" in stem or "test" in stem.lower()]
    candidates = tests or stems
    if len(candidates) != 1:
        raise DataError(
            f"cannot read {path}: it has {len(candidates)} images files that could be"
            f" meant ({', '.join(candidates) or 'none'}), and 1 is needed. Pass the"
            " images file itself."
        )
    rest = [stem for stem in stems if stem != candidates[0]]
    notes = (f"not used: {', '.join(rest)} of the folder",) if rest else ()
    return candidates[0], notes
