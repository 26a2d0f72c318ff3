"""Activation patterns: what every layer does at a point, as small integers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError, UnknownNameError
from relulens.graph.codes import codes
from relulens.graph.freeze import freeze
from relulens.graph.network import Network
from relulens.local.jacobian import flat_rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ActivationPattern:
    """The codes of all layers at a batch of points; one region has one pattern.

    Attributes:
        codes: Codes [N, size] by the layer's name, in order. A unit with two slopes has
            1 where its argument is positive, else 0; a maximum the flat position of its
            winner; a clamp 0, 1 or 2; a smooth function the number of its kinks below
            the argument. Coupled layers have none.
        batch: Number of points.
    """

    codes: Mapping[str, Int[Tensor, "batch size"]]
    batch: int

    def __len__(self) -> int:
        """Return the number of layers that have codes."""
        return len(self.codes)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the layers that have codes."""
        return iter(self.codes)

    def __getitem__(self, layer: int | str) -> Int[Tensor, "batch size"]:
        """Return the codes of one layer, by its name or its place among these.

        Raises:
            UnknownNameError: No layer with codes has this name or place.
        """
        names = list(self.codes)
        if isinstance(layer, str):
            if layer in self.codes:
                return self.codes[layer]
            raise UnknownNameError(layer, names or ["output"])
        if not -len(names) <= layer < len(names):
            raise UnknownNameError(str(layer), names or ["output"])
        return self.codes[names[layer]]

    def equals(self, other: "ActivationPattern") -> Bool[Tensor, " batch"]:
        """Tell for every point whether all its codes are those of ``other``.

        Args:
            other: The pattern of as many points, or of one, of the same network.

        Raises:
            InvalidArgumentError: The patterns are of different layers or batches.
        """
        if list(self.codes) != list(other.codes):
            raise InvalidArgumentError(
                f"cannot compare patterns: one has layers {list(self.codes)} and the"
                f" other {list(other.codes)}. Compare patterns of one network."
            )
        if 1 not in (self.batch, other.batch) and self.batch != other.batch:
            raise InvalidArgumentError(
                f"cannot compare patterns: one is of {self.batch} points and the other"
                f" of {other.batch}. Compare as many points, or one with many."
            )
        count = other.batch if self.batch == 1 else self.batch
        same = torch.ones(count, dtype=torch.bool)
        for name, code in self.codes.items():
            same = same.to(code.device) & (code == other.codes[name]).all(1)
        return same

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        units = sum(code.shape[1] for code in self.codes.values())
        return (
            f"ActivationPattern({self.batch} points, {len(self)} layers, {units} units)"
        )


def activation_pattern(network: Network, x: object, /) -> ActivationPattern:
    """Return what every layer does at every input.

    Args:
        network: The network.
        x: Inputs [N, *input_shape].

    Returns:
        The codes of all layers; a unit whose argument is exactly 0 is off, and a
        maximum takes its first largest entry.

    Raises:
        ShapeError: ``x`` has no batch axis, or another shape than the network's input.
        NotFiniteError: ``x`` holds NaN or infinite numbers.

    Cost:
        One forward pass.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])
        >>> activation_pattern(network, [[2.0]])["relu0"].tolist()
        [[1, 0]]
    """
    frozen = freeze(network, network.as_input(x), network.output)
    found = {
        network.layers[place].name: flat_rows(code)
        for place, code in codes(frozen).items()
    }
    return ActivationPattern(codes=found, batch=frozen.batch)
