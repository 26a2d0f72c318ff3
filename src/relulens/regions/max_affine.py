"""Layers as stacks of max-affine splines: their parameters and power diagrams."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from relulens.errors import InvalidArgumentError, ShapeError
from relulens.graph.blocks import blocks
from relulens.graph.convert import converted
from relulens.graph.freeze import freeze
from relulens.graph.linear_map import BYTE_LIMIT, LinearMap, check_bytes
from relulens.graph.network import Network
from relulens.graph.nodes import Maximum, TwoSlope
from relulens.graph.polyhedral import polyhedral
from relulens.graph.tangent import adjoint, tangent


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PowerCells:
    """Cells of a power diagram: points nearest by ``|x - centroid|^2 - radius``.

    Attributes:
        centroids: [N, *variable].
        radii: [N], added to the negative squared distance; they may be negative, so
            they are no squares of lengths.
    """

    centroids: Float[Tensor, "batch ..."]
    radii: Float[Tensor, " batch"]

    def __len__(self) -> int:
        """Return the number of cells."""
        return self.radii.shape[0]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MaxAffine:
    r"""A layer as :math:`S_k(v) = \max_r \langle A_{k,r}, v \rangle + B_{k,r}`.

    v is what the layer reads: one or several earlier features, flattened, one after
    another. ``A`` is a row of W times a factor, so it is made dense only on request.

    Attributes:
        layer: Name of the layer.
        reads: Names of what it reads, with their sizes.
        maps: Linear maps from each of these to the layer's argument.
        offset: Constant part of the argument, flat.
        row: Entry of the argument that piece r of unit k takes [K, R].
        factor: What it is multiplied by [K, R].
        mask: Which pieces there are [K, R]; windows at a border have fewer.
    """

    layer: str
    reads: tuple[tuple[str, int], ...]
    maps: tuple[LinearMap, ...]
    offset: Float[Tensor, " m"]
    row: Int[Tensor, "units pieces"]
    factor: Float[Tensor, "units pieces"]
    mask: Bool[Tensor, "units pieces"]

    @property
    def size(self) -> int:
        """Entries of v."""
        return sum(size for _, size in self.reads)

    def _scores(self, v: object) -> Float[Tensor, "batch units pieces"]:
        value = torch.as_tensor(v, dtype=torch.float64, device=self.offset.device)
        if value.ndim != 2 or value.shape[1] != self.size:
            raise ShapeError(
                "v", tuple(value.shape), (self.size,), "Flatten and join the features."
            )
        z = self.offset.expand(value.shape[0], -1)
        sizes = [size for _, size in self.reads]
        for map_, part in zip(self.maps, value.split(sizes, dim=1), strict=True):
            z = z + map_.apply(part.reshape(-1, *map_.in_shape)).flatten(1)
        scores = z[:, self.row] * self.factor
        return scores.masked_fill(~self.mask, -torch.inf)

    def __call__(self, v: object) -> Float[Tensor, "batch units"]:
        """Return the layer's features, flat, from what it reads [N, size]."""
        return self._scores(v).amax(-1)

    def code(self, v: object) -> Int[Tensor, "batch units"]:
        """Return the first largest piece of every unit at every v [N, size]."""
        return self._scores(v).argmax(-1)

    @property
    def B(self) -> Float[Tensor, "units pieces"]:
        """Offsets, minus infinity where there is no piece."""
        return (self.offset[self.row] * self.factor).masked_fill(~self.mask, -torch.inf)

    def A(self, *, limit: int = BYTE_LIMIT) -> Float[Tensor, "units pieces size"]:
        """Return the slopes as a dense array, zero where there is no piece.

        Raises:
            MemoryLimitError: The array takes more than ``limit`` bytes.
        """
        units, pieces = self.row.shape
        check_bytes(
            f"the slopes [{units}, {pieces}, {self.size}]",
            8 * units * pieces * self.size,
            limit,
            "Use the maps, or call the spline.",
        )
        rows = torch.cat([map_.to_dense(limit=limit) for map_ in self.maps], dim=1)
        dense = rows.to(self.offset.device)[self.row] * self.factor[..., None]
        return dense.masked_fill(~self.mask[..., None], 0.0)

    def power_diagram(self, codes: Int[Tensor, "batch units"]) -> PowerCells:
        r"""Return the power-diagram cell of every code, in the space of v.

        :math:`\mu = \sum_k A_{k,t_k}`, :math:`\tau = |\mu|^2 + 2 \sum_k B_{k,t_k}`: the
        code of v is the one of least :math:`|v - \mu|^2 - \tau`.

        Args:
            codes: Pieces [N, units], as ``code`` gives them.
        """
        unit = torch.arange(self.row.shape[0], device=self.row.device)
        weights = torch.zeros(
            (codes.shape[0], self.offset.shape[0]), dtype=torch.float64
        ).to(self.offset.device)
        weights.scatter_add_(1, self.row[unit, codes], self.factor[unit, codes])
        parts = [
            map_.adjoint(weights.reshape(-1, *map_.out_shape)).flatten(1)
            for map_ in self.maps
        ]
        centroids = torch.cat(parts, dim=1)
        total = self.B[unit, codes].sum(-1)
        return PowerCells(centroids=centroids, radii=(centroids**2).sum(-1) + 2 * total)

    def __repr__(self) -> str:
        """Return the sizes on one line."""
        units, pieces = self.row.shape
        return f"MaxAffine({self.layer!r}: {units} units, up to {pieces} pieces)"


def max_affine(network: Network, layer: int | str, /) -> MaxAffine:
    """Return a layer as a max-affine spline operator of what it reads.

    Args:
        network: The network.
        layer: Index or name of a layer that is a maximum or two-slope and convex; its
            affine part (weights, batch norm, mean pooling) is fused with it.

    Raises:
        InvalidArgumentError: The layer is curved, a clamp, or bends downwards, so that
            it is no maximum of affine functions.
        UnknownNameError: No layer has this name.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> network = from_layers([([[2.0], [-1.0]], [1.0, 0.0]), ([[1.0, 1.0]], None)])
        >>> spline = max_affine(network, 0)
        >>> spline.A().flatten(1).tolist(), spline.B.tolist()
        ([[0.0, 2.0], [-0.0, -1.0]], [[0.0, 1.0], [0.0, 0.0]])
    """
    index = _convex_node(network, network.layer_index(layer))
    exact = converted(network.with_output(index), torch.float64)
    form = blocks(exact)
    place = next(i for i, item in enumerate(form.arguments) if item.node == index)
    names = {item.output: item.name for item in network.layers}
    reads: list[tuple[str, int]] = []
    maps: list[LinearMap] = []
    if place in form.B:
        reads.append((exact.nodes[0].name, exact.input_size))
        maps.append(form.B[place])
    for block, state in enumerate(form.states):
        if (place, block) in form.A:
            node = exact.nodes[state]
            reads.append((names.get(state, node.name), math.prod(node.shape)))
            maps.append(form.A[place, block])
    start, stop = form.argument_offsets[place : place + 2]
    offset = form.a.get(place, torch.zeros(stop - start)).to(torch.float64).reshape(-1)
    row, factor, mask = _pieces(exact.nodes[index], exact.device)
    return MaxAffine(
        layer=network.layers[network.layer_index(layer)].name,
        reads=tuple(reads),
        maps=tuple(maps),
        offset=offset.to(exact.device),
        row=row,
        factor=factor,
        mask=mask,
    )


def _convex_node(network: Network, place: int) -> int:
    layer = network.layers[place]
    node = network.nodes[layer.nodes[0]]
    if len(layer.nodes) > 1:
        fact = f"it is made of {len(layer.nodes)} bends, and one is needed"
    elif isinstance(node, TwoSlope):
        down = int((node.positive < node.negative).sum())
        if not down:
            return layer.nodes[0]
        fact = f"{down} of its {node.positive.numel()} slopes fall at the bend"
    elif isinstance(node, Maximum):
        return layer.nodes[0]
    else:
        fact = f"{layer.operation} is not piecewise affine"
    raise InvalidArgumentError(
        f"cannot write layer {layer.name!r} as a maximum of affine functions: {fact}."
        " Ask about another layer, or use local_affine_map."
    )


def _pieces(node: object, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the argument's entry, the factor and the mask of every piece."""
    if isinstance(node, Maximum):
        table, real = (part.to(device) for part in node.groups.ragged.padded())
        return table, real.to(torch.float64), real
    if not isinstance(node, TwoSlope):
        raise TypeError("a node without pieces")
    size = math.prod(node.shape)
    row = torch.arange(size, device=device)[:, None].expand(-1, 2)
    slopes = [
        part.to(torch.float64).expand(node.shape).reshape(-1)
        for part in (node.negative, node.positive)
    ]
    factor = torch.stack(slopes, dim=1).to(device)
    return row, factor, torch.ones_like(row, dtype=torch.bool)


def power_diagram(network: Network, x: object, /, *, layer: int | str) -> PowerCells:
    r"""Return the power-diagram cell that a layer puts every input in.

    Within the region of the layers before, a layer's code is that of the cell with
    least :math:`|x - \mu|^2 - \tau`, where :math:`\mu = J^T 1` and :math:`\tau =
    |\mu|^2 + 2\, 1^T (f(x) - J x)` for its features f and their Jacobian J
    :cite:p:`balestriero2018spline`. Cells of different parent regions do not compare.

    Args:
        network: A network that is piecewise affine up to the layer.
        x: Inputs [N, *input_shape].
        layer: A layer that is a maximum of affine functions of what it reads.

    Raises:
        InvalidArgumentError: The layer is no maximum of affine functions.
        NotPolyhedralError: An earlier node is not piecewise affine; all are named.

    Cost:
        One forward pass, one backward and one tangent.
    """
    index = _convex_node(network, network.layer_index(layer))
    polyhedral(network, index, question="power_diagram")
    point = network.as_input(x).to(torch.float64)
    frozen = freeze(converted(network, torch.float64), point, index)
    value = frozen.values[index].flatten(1)
    ones = torch.ones_like(frozen.values[index])
    centroids = adjoint(frozen, ones)
    along = tangent(frozen, point).flatten(1)
    radii = (centroids.flatten(1) ** 2).sum(1) + 2 * (value - along).sum(1)
    return PowerCells(centroids=centroids, radii=radii)
