"""What a checker answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The outcome of checking a certificate; true as a condition if it holds.

    Attributes:
        valid: Whether the proof is complete, rounding accounted for.
        reason: What was found, or why it is refused.
        margin: How far the deciding number is from its limit, relative; negative if
            it fails, nothing if no number decides.
    """

    valid: bool
    reason: str
    margin: float | None = None

    def __bool__(self) -> bool:
        """Tell whether the proof is complete."""
        return self.valid


def refused(reason: str, margin: float | None = None) -> Verification:
    """Return a refusal."""
    return Verification(valid=False, reason=reason, margin=margin)


def accepted(reason: str, margin: float | None = None) -> Verification:
    """Return an acceptance."""
    return Verification(valid=True, reason=reason, margin=margin)
