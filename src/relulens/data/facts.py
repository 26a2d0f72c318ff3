"""What one pass over the inputs finds: their range, their defects and their hash."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from relulens.errors import DataError
from relulens.graph.domain import Box


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Facts:
    """Range, defects and hash of a data set.

    Attributes:
        lows: Smallest number of every entry, over all inputs; nothing without inputs.
        highs: Largest number of every entry.
        bad: How many numbers are NaN or infinite.
        first_bad: Position of the first input with such a number.
        sha256: Hash of shape, inputs and labels.
    """

    lows: np.ndarray | None
    highs: np.ndarray | None
    bad: int
    first_bad: int | None
    sha256: str

    @property
    def low(self) -> float:
        """Smallest number; NaN without inputs."""
        return np.nan if self.lows is None else float(self.lows.min())

    @property
    def high(self) -> float:
        """Largest number; NaN without inputs."""
        return np.nan if self.highs is None else float(self.highs.max())


def facts(
    batches: Iterator[np.ndarray], shape: tuple[int, ...], labels: np.ndarray | None
) -> Facts:
    """Return range, defects and hash of inputs, in one pass.

    Args:
        batches: Inputs [n, *shape], float64, in order.
        shape: Shape of all of them, batch axis first.
        labels: Their labels, or nothing.
    """
    digest = hashlib.sha256(f"{list(shape)}".encode())
    lows: np.ndarray | None = None
    highs: np.ndarray | None = None
    bad, first_bad, seen = 0, None, 0
    for batch in batches:
        digest.update(np.ascontiguousarray(batch, dtype="<f8").tobytes())
        wrong = ~np.isfinite(batch)
        if wrong.any():
            rows = wrong.reshape(len(batch), -1).any(1)
            first_bad = seen + int(rows.argmax()) if first_bad is None else first_bad
            bad += int(wrong.sum())
        elif batch.size:
            low, high = batch.min(0), batch.max(0)
            lows = low if lows is None else np.minimum(lows, low)
            highs = high if highs is None else np.maximum(highs, high)
        seen += len(batch)
    if labels is not None:
        digest.update(b"labels" + np.ascontiguousarray(labels, dtype="<i8").tobytes())
    return Facts(
        lows=lows, highs=highs, bad=bad, first_bad=first_bad, sha256=digest.hexdigest()
    )


def check_domain(found: Facts, domain: Box, source: str) -> None:
    """Refuse data that leave the network's domain.

    Raises:
        DataError: An entry of some input is outside.
    """
    if found.lows is None or found.highs is None:
        return
    lowest, highest = domain.low.cpu().numpy(), domain.high.cpu().numpy()
    if bool((found.lows >= lowest).all() and (found.highs <= highest).all()):
        return
    wanted = (float(lowest.min()), float(highest.max()))
    given = (found.low, found.high)
    raise DataError(
        f"cannot use {source}: its numbers run from {given[0]:g} to {given[1]:g}, and"
        f" the network's domain is {wanted[0]:g} to {wanted[1]:g}."
        f" {_fix(given, wanted)}"
    )


def _fix(given: tuple[float, float], wanted: tuple[float, float]) -> str:
    for scale in (255.0, 16.0, 65535.0, 100.0, 1 / 255.0):
        low, high = given[0] / scale, given[1] / scale
        fits = wanted[0] <= low and high <= wanted[1]
        if fits and high >= 0.1 * wanted[1]:
            return f"Divide them: scale={scale:g} (--scale {scale:g})."
    return (
        "Bring them to the network's units with scale= (--scale), or correct domain="
        " (--domain LOW HIGH)."
    )
