"""How many units two inputs do not share: the distance of their regions' codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.codes import codes
from relulens.graph.freeze import freeze
from relulens.graph.linear_map import BYTE_LIMIT, check_bytes
from relulens.graph.network import Network
from relulens.graph.nodes import TwoSlope
from relulens.graph.pieces import row_ranges

Codes: TypeAlias = NDArray[np.integer]

ROWS = 256
"""Inputs that are pushed through the network at once."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PatternDistance:
    """Shares of units with different codes; as an array, the mean over layers.

    Attributes:
        total: The mean of the layers' distances, [N] or [N, M].
        layers: Distance in every layer with codes, in [0, 1], by its name.
        different: Units that differ, over all layers, likewise.
        units: Units in every layer.
    """

    total: Float[Tensor, " *pairs"]
    layers: Mapping[str, Float[Tensor, " *pairs"]]
    different: Float[Tensor, " *pairs"]
    units: Mapping[str, int]

    def __len__(self) -> int:
        """Return the number of first inputs."""
        return self.total.shape[0]

    def __getitem__(self, place: int | slice | tuple[int | slice, ...]) -> Tensor:
        """Return part of ``total``."""
        return self.total[place]

    def __array__(
        self, dtype: np.dtype | None = None, copy: bool | None = None
    ) -> np.ndarray:
        """Return ``total`` as an array."""
        return np.array(self.total.cpu().numpy(), dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        shape = list(self.total.shape)
        return f"PatternDistance({shape}, {len(self.layers)} layers)"


def pattern_distance(
    network: Network, x: object, x2: object, /, *, pairwise: bool = False
) -> PatternDistance:
    r"""Return the share of units that do different things at two inputs.

    For layer l with codes :math:`t_k`, :math:`d_l(x, x') = \#\{k : t_k(x) \ne t_k(x')\}
    / D_l`, and the whole distance is the mean over layers
    :cite:p:`balestriero2018spline`. It is 0 if and only if the two lie in one region.

    Args:
        network: The network; smooth layers count by the kinks below their argument.
        x: Inputs [N, *input_shape].
        x2: Inputs [N, *input_shape], or [M, *input_shape] if ``pairwise``.
        pairwise: Compare every input of ``x`` with every one of ``x2``.

    Raises:
        ShapeError: Inputs have no batch axis, or another shape than the network's.
        NotFiniteError: Inputs hold NaN or infinite numbers.
        InvalidArgumentError: ``x`` and ``x2`` are of different length and not
            ``pairwise``, or no layer has codes.
        MemoryLimitError: The packed codes or the result are too large.

    Cost:
        One forward pass an input; codes are kept as bits, an eighth of a byte a ReLU.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[1.0], [-1.0]], None), ([[1.0, 1.0]], None)])
        >>> pattern_distance(network, [[2.0]], [[-1.0]]).total.tolist()
        [1.0]
    """
    first, second = network.as_input(x), network.as_input(x2, subject="x2")
    n, m = first.shape[0], second.shape[0]
    if not pairwise and n != m:
        raise InvalidArgumentError(
            f"cannot compare patterns: x holds {n} inputs and x2 {m}. Pass as many, or"
            " pairwise=True."
        )
    shape = (n, m) if pairwise else (n,)
    check_bytes(
        f"distances {list(shape)}",
        8 * int(np.prod(shape)) * (len(network.layers) + 2),
        BYTE_LIMIT,
        "Compare fewer inputs at once.",
    )
    left, right = _packed(network, first), _packed(network, second)
    if not left:
        raise InvalidArgumentError(
            "cannot compare patterns: 0 of the network's layers have codes, and 1 is"
            " needed. Ask about a network with nonlinear layers."
        )
    counts = {
        name: torch.from_numpy(_different(left[name][0], right[name][0], pairwise))
        for name in left
    }
    units = {name: size for name, (_, size) in left.items()}
    device = network.device
    layers = {
        name: (count.double() / max(units[name], 1)).to(device)
        for name, count in counts.items()
    }
    return PatternDistance(
        total=torch.stack(list(layers.values())).mean(0),
        layers=layers,
        different=torch.stack(list(counts.values())).sum(0).double().to(device),
        units=units,
    )


def _packed(network: Network, x: Tensor) -> dict[str, tuple[Codes, int]]:
    """Return the codes of all layers, two-valued ones as bits, and their sizes."""
    parts: dict[str, list[Codes]] = {}
    sizes: dict[str, int] = {}
    wide: set[str] = _many_valued(network)
    for rows in row_ranges(x.shape[0], ROWS):
        frozen = freeze(network, x[rows], network.output)
        for place, code in codes(frozen).items():
            name = network.layers[place].name
            flat = code.reshape(code.shape[0], code.shape[1:].numel()).cpu().numpy()
            sizes[name] = flat.shape[1]
            kept = flat if name in wide else np.packbits(flat.astype(bool), axis=1)
            parts.setdefault(name, []).append(kept)
    return {name: (np.concatenate(some), sizes[name]) for name, some in parts.items()}


def _many_valued(network: Network) -> set[str]:
    """Return the layers whose codes are not bits: maxima, clamps, smooth ones."""
    return {
        layer.name
        for layer in network.layers
        if len(layer.nodes) != 1
        or not isinstance(network.nodes[layer.nodes[0]], TwoSlope)
    }


def _different(a: Codes, b: Codes, pairwise: bool) -> NDArray[np.int64]:
    """Return how many codes differ, of bits packed in bytes or of numbers."""
    bits = a.dtype == np.uint8
    if not pairwise:
        return _count(a, b, bits)
    result = np.empty((len(a), len(b)), np.int64)
    step = max(1, (16 << 20) // max(b.nbytes, 1))
    for rows in row_ranges(len(a), step):
        result[rows] = _count(a[rows, None], b[None], bits)
    return result


def _count(a: Codes, b: Codes, bits: bool) -> NDArray[np.int64]:
    if bits:
        return np.bitwise_count(a ^ b).sum(axis=-1, dtype=np.int64)
    return (a != b).sum(axis=-1, dtype=np.int64)
