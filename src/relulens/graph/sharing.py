"""Which arrays of a walk may be written over."""

from collections.abc import Iterable, Mapping

from torch import Tensor


def shares_memory(first: Tensor, second: Tensor) -> bool:
    """Tell whether two arrays lie in one block of memory."""
    left, right = first.untyped_storage(), second.untyped_storage()
    return left.data_ptr() == right.data_ptr()


class Sums:
    """Sums of weights by node, added in place where nothing else holds the array.

    Args:
        given: Weights that the caller keeps; they are never written over.
    """

    def __init__(self, given: Mapping[int, Tensor]) -> None:
        self._values = dict(given)
        self._owned: set[int] = set()

    def __contains__(self, index: int) -> bool:
        return index in self._values

    def __getitem__(self, index: int) -> Tensor:
        return self._values[index]

    def pop(self, index: int) -> tuple[Tensor, bool]:
        """Forget a node's sum; return it, and whether it may be written over."""
        owned = index in self._owned
        self._owned.discard(index)
        return self._values.pop(index), owned

    def add(
        self, parts: Iterable[tuple[int, Tensor]], whole: Tensor, *, spare: bool
    ) -> None:
        """Add what one node passes on to the nodes that it reads.

        Args:
            parts: Nodes, and what is added to each.
            whole: The array that the parts were made of, which they may share.
            spare: Whether nothing else holds that array.
        """
        several = list(parts)
        for index, part in several:
            shared = shares_memory(part, whole) and not (spare and len(several) == 1)
            # An expanded array repeats entries, and cannot be written to.
            own = part.is_contiguous() and not shared
            if index not in self._values:
                self._values[index] = part
                if own:
                    self._owned.add(index)
            elif index in self._owned:
                self._values[index].add_(part)
            elif own:
                self._values[index] = part.add_(self._values[index])
                self._owned.add(index)
            else:
                self._values[index] = self._values[index] + part
                self._owned.add(index)
