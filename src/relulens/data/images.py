"""Read a folder of images; subfolders are classes."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from relulens.data.source import Source
from relulens.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm")
"""Endings of the files that count as images, in any case."""

_AS = {"L": "L", "RGB": "RGB", "P": "RGB", "1": "L"}


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder and its subfolders, in alphabetical order."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file()
    )


@dataclass(frozen=True, slots=True, eq=False)
class ImageFiles:
    """Images of one size, read when asked for.

    Attributes:
        files: Where they are.
        shape: Number, height and width, and channels for colour.
    """

    files: tuple[Path, ...]
    shape: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype:
        """Type of the numbers: 0 to 255."""
        return np.dtype(np.uint8)

    def __getitem__(self, index: np.ndarray, /) -> np.ndarray:
        """Return some images [n, height, width(, 3)]."""
        result = np.empty((len(index), *self.shape[1:]), dtype=np.uint8)
        for place, row in enumerate(index):
            result[place] = self._checked(self.files[row])
        return result

    def _checked(self, path: Path) -> np.ndarray:
        pixels = read_image(path)
        if pixels.shape != self.shape[1:]:
            raise DataError(
                f"cannot use {path}: its size is {list(pixels.shape)}, and that of"
                f" {self.files[0].name} is {list(self.shape[1:])}. Images are never"
                " resized here: bring all of them to the network's size."
            )
        return pixels


def read_image(path: Path) -> np.ndarray:
    """Return an image as uint8 [height, width] or [height, width, 3].

    Raises:
        DataError: The file is broken, or has another kind of pixels than 8-bit grey or
            colour.
    """
    try:
        with Image.open(path) as image:
            if image.mode not in _AS:
                raise DataError(
                    f"cannot use {path}: its pixels are {image.mode}, and 8-bit grey"
                    " (L) or colour (RGB) is needed. Convert it."
                )
            return np.asarray(image.convert(_AS[image.mode]))
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise DataError(f"cannot read {path}: {error}. Remove or repair it.") from error


def read_images(folder: Path) -> Source:
    """Return the images of a folder; the subfolders' names are the labels.

    Raises:
        DataError: There are no images, or some lie in subfolders and some do not.
    """
    files = image_files(folder)
    if not files:
        raise DataError(
            f"cannot read {folder}: it has 0 images ({', '.join(SUFFIXES)}). Pass a"
            " folder of images, with a subfolder per class if they have labels."
        )
    parts = [file.relative_to(folder).parts for file in files]
    depths = {len(part) for part in parts}
    if depths not in ({1}, {2}):
        raise DataError(
            f"cannot read {folder}: its {len(files)} images lie {sorted(depths)} levels"
            " deep, and either all lie in it (1) or all in subfolders, one a class (2)."
            " Move them."
        )
    labels = np.array([part[0] for part in parts]) if depths == {2} else None
    shape = (len(files), *read_image(files[0]).shape)
    return Source(
        rows=ImageFiles(tuple(files), shape),
        labels=labels,
        names=np.array(["/".join(part) for part in parts]),
        title=f"{folder.name} ({len(files)} images)",
        format="images",
        layout="NHWC",
    )
