"""Pre-images from features alone: first a point, or a proof that there is none."""

from collections.abc import Callable

from relulens.errors import InvalidArgumentError
from relulens.preimage.question import Question
from relulens.preimage.result import Preimage


def for_features(
    asked: Question, features: object, progress: Callable[[int, int], None] | None
) -> list[Preimage]:
    """Return a result for every row of features."""
    raise InvalidArgumentError("cannot start from features: not yet")
