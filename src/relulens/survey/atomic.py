"""Files that are there whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

TEMPORARY = ".tmp-"
"""What names of unfinished files contain."""


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file under another name, then give it its own.

    Args:
        path: The file.
        write: Writes to the path that it is given.
    """
    temporary = path.with_name(f"{path.name}{TEMPORARY}{os.getpid()}")
    try:
        write(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove unfinished files of processes that were killed.

    A file of a process that still runs is left alone, as far as this machine can tell.
    """
    for path in folder.glob(f"*{TEMPORARY}*"):
        process = path.name.rsplit(TEMPORARY, 1)[-1]
        if not (process.isdecimal() and Path(f"/proc/{process}").exists()):
            path.unlink(missing_ok=True)
