"""Numbers of tries, samples and programs that callers pass."""

from numbers import Integral

from relulens.errors import InvalidArgumentError


def check_count(given: object, *, name: str, least: int, verb: str) -> None:
    """Refuse a number that is not whole, or too small.

    Args:
        given: The number.
        name: What the argument is called.
        least: The smallest that is taken.
        verb: What is asked for, for the message.

    Raises:
        InvalidArgumentError: It is not whole, or smaller.
    """
    if not isinstance(given, Integral) or given < least:
        raise InvalidArgumentError(
            f"cannot {verb}: {name} is {given!r}, and a whole number of at least"
            f" {least} is needed. Pass one."
        )
