"""How many threads a computation may take, for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def thread_count(count: int) -> Iterator[None]:
    """Let torch use so many threads inside the block, and as many as before after it.

    One is the default of everything long here: on a busy machine small operations are
    many times slower with several, and rounding may depend on the number.

    Args:
        count: Number of threads.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
