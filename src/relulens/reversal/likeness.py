"""How random-like the weights of a network are, beside an initialisation."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from relulens.errors import InvalidArgumentError
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import Added, Adjoint, AlongAxis, Composed, Convolution
from relulens.graph.network import Network
from relulens.graph.nodes import Affine
from relulens.reversal.activity import Activity, activity, following_layer
from relulens.reversal.calibration import Band, bands
from relulens.reversal.marchenko_pastur import edges
from relulens.reversal.matrix_statistics import (
    STATISTICS,
    MatrixStatistics,
    matrix_statistics,
    singular_spectrum,
)

WORDS = {
    "entries_distance": "its entries are not Gaussian",
    "kurtosis": "the tails of its entries are not Gaussian",
    "spectrum_distance": "its singular values do not follow the Marchenko-Pastur law",
    "largest_over_edge": "its largest singular value is off the law's upper edge",
    "smallest_over_edge": "its smallest singular value is off the law's lower edge",
    "coherence": "two of its units are too much alike",
    "row_norm_variation": "the norms of its units vary unlike Gaussian ones",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LayerLikeness:
    """One weight matrix beside a Gaussian one and an initialisation.

    Attributes:
        name: Node that the matrix belongs to.
        statistics: Its statistics.
        bands: The range of each statistic for a Gaussian matrix of that size.
        initial: The same statistics of the initial weights.
        singular_values: Its singular values, largest first.
        initial_singular_values: Those of the initial weights.
        law: Edges of the Marchenko-Pastur law for its size and deviation.
        bias_variation: Standard deviation of the bias over its mean's absolute value;
            NaN without a bias.
        verdict: ``"random-like"`` or ``"not random-like"``.
        changed: Whether it left a band that its initial weights stay in.
        sentence: The verdict in words with numbers.
        activity: The features that follow it on real inputs, where inputs were given.
        initial_activity: The same for the initial network, where that was given too.
    """

    name: str
    statistics: MatrixStatistics
    bands: dict[str, Band]
    initial: MatrixStatistics
    singular_values: Tensor
    initial_singular_values: Tensor
    law: tuple[float, float]
    bias_variation: float
    verdict: str
    changed: bool
    sentence: str
    activity: Activity | None
    initial_activity: Activity | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RandomLikeness:
    """Every weight matrix of a network beside an initialisation.

    Attributes:
        layers: The matrices, in order.
        left_out: Names of the matrices that are too small or constant, with the reason.
        initial: What the initial weights are.
        alarm: Rate at which a Gaussian matrix leaves the band of one statistic.
    """

    layers: tuple[LayerLikeness, ...]
    left_out: dict[str, str]
    initial: str
    alarm: float


def _leaves(map_: LinearMap) -> Iterator[Tensor]:
    match map_:
        case AlongAxis(matrix=matrix):
            yield matrix
        case Convolution(weight=weight):
            yield weight.flatten(1)
        case Adjoint(map=inner):
            # The stored kernel of a transposed layer is its own forward matrix.
            yield from _leaves(inner)
        case Composed(maps=parts) | Added(maps=parts):
            for part in parts:
                yield from _leaves(part)
        case _:
            return


def weight_matrices(network: Network) -> dict[str, tuple[Tensor, Tensor | None]]:
    """Return every weight matrix [units, inputs of a unit] with its bias, by node name.

    A convolution's matrix has one row an output channel.
    """
    found: dict[str, tuple[Tensor, Tensor | None]] = {}
    for node in network.nodes:
        if not isinstance(node, Affine):
            continue
        leaves = [leaf for term in node.terms for leaf in _leaves(term.map)]
        for i, leaf in enumerate(leaves):
            name = node.name if len(leaves) == 1 else f"{node.name}#{i}"
            found[name] = (leaf, node.bias)
    return found


def random_likeness(
    network: Network,
    /,
    initial: Network | None = None,
    *,
    x: object | None = None,
    alarm: float = 0.01,
    seed: int = 0,
) -> RandomLikeness:
    """Return how every weight matrix compares with one of independent Gaussian entries.

    The statistics mean little alone: a barely trained matrix looks random too. They
    stand beside those of the initial weights, always; where none are given, a fresh
    draw of the uniform law that torch initialises dense and convolutional layers with.

    Args:
        network: The network.
        initial: The same network before training.
        x: Inputs [N, *input_shape] for the sparsity of features and their reversal.
        alarm: Rate at which a Gaussian matrix leaves the band of one statistic.
        seed: Seed of the calibration and of the fresh initialisation.

    Returns:
        A verdict for every matrix, with its numbers.

    Raises:
        InvalidArgumentError: The network has no weights, ``initial`` has other layers,
            or ``alarm`` lies outside (0, 0.5).

    Cost:
        For a matrix [m, n]: the smaller Gram matrix and its eigenvalues, all products
        of rows, and a simulation of matrices with a side of 64.
    """
    if not 0.0 < alarm < 0.5:
        raise InvalidArgumentError(
            f"cannot calibrate: the false-alarm rate is {alarm}, and it must lie in"
            " (0, 0.5). Use 0.01."
        )
    matrices = weight_matrices(network)
    if not matrices:
        raise InvalidArgumentError(
            "cannot judge the weights: the network has 0 weight matrices. Pass one with"
            " dense or convolutional layers."
        )
    before = _initial_matrices(matrices, initial, seed)
    layers: list[LayerLikeness] = []
    left_out: dict[str, str] = {}
    for name, (matrix, bias) in matrices.items():
        try:
            judged = _judge(name, matrix, bias, before[name], alarm, seed)
            layers.append(_with_activity(judged, network, initial, x, seed))
        except InvalidArgumentError as error:
            left_out[name] = str(error)
    words = "a fresh draw of torch's uniform law" if initial is None else "given"
    return RandomLikeness(
        layers=tuple(layers), left_out=left_out, initial=words, alarm=alarm
    )


def _initial_matrices(
    matrices: dict[str, tuple[Tensor, Tensor | None]],
    initial: Network | None,
    seed: int,
) -> dict[str, Tensor]:
    if initial is None:
        source = torch.Generator().manual_seed(seed)
        fresh: dict[str, Tensor] = {}
        for name, (matrix, _) in matrices.items():
            bound = 1.0 / math.sqrt(matrix.shape[1])
            drawn = torch.rand(
                tuple(matrix.shape), generator=source, dtype=torch.float64
            )
            fresh[name] = (2 * drawn - 1) * bound
        return fresh
    given = {name: matrix for name, (matrix, _) in weight_matrices(initial).items()}
    wrong = [
        name
        for name, (matrix, _) in matrices.items()
        if name not in given or given[name].shape != matrix.shape
    ]
    if wrong:
        raise InvalidArgumentError(
            f"cannot compare with the initial weights: {len(wrong)} of {len(matrices)}"
            " matrices are missing there or have another shape, the first"
            f" {wrong[0]!r}. Pass the same network before training."
        )
    return given


def _judge(
    name: str,
    matrix: Tensor,
    bias: Tensor | None,
    before: Tensor,
    alarm: float,
    seed: int,
) -> LayerLikeness:
    spectrum, earlier = singular_spectrum(matrix), singular_spectrum(before)
    now, then = matrix_statistics(matrix, spectrum), matrix_statistics(before, earlier)
    limits = bands(now.rows, now.columns, alarm, seed)
    out_now = [s for s in STATISTICS if not limits[s].holds(getattr(now, s))]
    out_then = [s for s in STATISTICS if not limits[s].holds(getattr(then, s))]
    left = [s for s in out_now if s not in out_then]
    scale = math.sqrt(now.deviation**2 + now.mean**2)
    return LayerLikeness(
        name=name,
        statistics=now,
        bands=limits,
        initial=then,
        singular_values=torch.from_numpy(spectrum),
        initial_singular_values=torch.from_numpy(earlier),
        law=edges(now.rows, now.columns, scale),
        bias_variation=_variation(bias),
        verdict="not random-like" if out_now else "random-like",
        changed=bool(left),
        sentence=_sentence(now, then, limits, out_now, left),
        activity=None,
        initial_activity=None,
    )


def _with_activity(
    judged: LayerLikeness,
    network: Network,
    initial: Network | None,
    x: object | None,
    seed: int,
) -> LayerLikeness:
    """Return the layer with the activity of the features behind it."""
    if x is None:
        return judged

    def measured(subject: Network) -> Activity | None:
        named = judged.name.split("#", maxsplit=1)[0]
        index = next((i for i, n in enumerate(subject.nodes) if n.name == named), None)
        layer = None if index is None else following_layer(subject, index)
        points = subject.as_input(x)
        if layer is None or not len(points):
            return None
        return activity(subject, points, layer, seed=seed)

    return replace(
        judged,
        activity=measured(network),
        initial_activity=None if initial is None else measured(initial),
    )


def _variation(bias: Tensor | None) -> float:
    if bias is None or bias.numel() < 2 or not bool(bias.mean() != 0):
        return math.nan
    return float(bias.to(torch.float64).std() / bias.to(torch.float64).mean().abs())


def _sentence(
    now: MatrixStatistics,
    then: MatrixStatistics,
    limits: dict[str, Band],
    out_now: list[str],
    left: list[str],
) -> str:
    if not out_now:
        return (
            f"random-like: all {len(STATISTICS)} statistics lie in the bands of a"
            f" Gaussian matrix (largest singular value {now.largest_over_edge:.3f} of"
            f" the law's edge, coherence {now.coherence:.3f})"
        )
    parts = [
        f"{WORDS[s]} ({s} {getattr(now, s):.3g}, Gaussian up to {limits[s].high:.3g},"
        f" initial {getattr(then, s):.3g})"
        for s in out_now
    ]
    end = (
        "the initial weights stay in those bands"
        if left == out_now
        else "the initial weights leave those bands too"
        if not left
        else f"the initial weights stay in the bands of {', '.join(left)}"
    )
    return f"not random-like: {'; '.join(parts)}; {end}"
