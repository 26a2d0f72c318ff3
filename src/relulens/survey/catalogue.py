"""The questions by name; the order is the order in which they are asked."""

from collections.abc import Callable, Sequence

from relulens.errors import InvalidArgumentError
from relulens.graph.network import Network
from relulens.survey.question import Question
from relulens.survey.questions.activity import activity
from relulens.survey.questions.boundary import boundary
from relulens.survey.questions.prediction import prediction
from relulens.survey.questions.preimage import preimage, preimage_depth
from relulens.survey.questions.slope import slope
from relulens.survey.questions.spectra import spectra

CATALOGUE: dict[str, Callable[[Network], Question]] = {
    "prediction": prediction,
    "activity": activity,
    "slope": slope,
    "spectra": spectra,
    "boundary": boundary,
    "preimage": preimage,
    "preimage_depth": preimage_depth,
}
"""Cheap questions first, so that a short budget answers most of them."""


def chosen_questions(
    network: Network, wanted: Sequence[str | Question] | None
) -> list[Question]:
    """Return questions for a network.

    Args:
        network: The network; it decides how the work is cut into shards.
        wanted: Names or questions; all of the catalogue by default.

    Raises:
        InvalidArgumentError: There is no such question, or two have one name.
    """
    asked = list(CATALOGUE) if wanted is None else list(wanted)
    found: list[Question] = []
    for item in asked:
        if isinstance(item, Question):
            found.append(item)
        elif item in CATALOGUE:
            found.append(CATALOGUE[item](network))
        else:
            raise InvalidArgumentError(
                f"cannot ask {item!r}: there are {len(CATALOGUE)} questions"
                f" ({', '.join(CATALOGUE)}). Choose among these."
            )
    names = [question.name for question in found]
    if len(set(names)) < len(names):
        raise InvalidArgumentError(
            f"cannot ask {len(names)} questions: they have {len(set(names))} names"
            f" ({', '.join(names)}), and each needs its own. Ask each once."
        )
    return found
