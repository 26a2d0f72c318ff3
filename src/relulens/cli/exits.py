"""Exit codes: one per decision that a calling program may take."""

from relulens.errors import (
    AmbiguousModelError,
    ImportMismatchError,
    ModelLoadError,
    NotPolyhedralError,
    SolverError,
    UnsafeModelError,
    UnsupportedOperationError,
)

OK = 0
FAILED_SAMPLES = 1
USAGE = 2
UNSUPPORTED = 3
GATE_FAILED = 4
INTERRUPTED = 130


def exit_code(error: Exception) -> int:
    """Return the exit code of an error that stopped a command.

    An option repairs a model with several outputs or one that may run code, so these
    are errors of usage; every other model that cannot be taken is unsupported.
    """
    if isinstance(error, (AmbiguousModelError, UnsafeModelError)):
        return USAGE
    unsupported = (
        ModelLoadError,
        ImportMismatchError,
        NotPolyhedralError,
        UnsupportedOperationError,
    )
    if isinstance(error, unsupported):
        return UNSUPPORTED
    return FAILED_SAMPLES if isinstance(error, SolverError) else USAGE
