"""A network as an implicit model: affine nodes folded into four matrices."""

from relulens.errors import InvalidArgumentError
from relulens.graph.blocks import blocks
from relulens.graph.network import Network
from relulens.graph.polyhedral import source_name
from relulens.implicit.model import ImplicitModel
from relulens.implicit.phi import activation_with


def implicit_model(network: Network, /) -> ImplicitModel:
    """Return a network as ``x = phi(A x + B u + a)``, ``y = C x + D u + d``.

    The state stacks the values of the nonlinear operations, and of nothing else: what
    is affine between them is in the matrices, matrix-free. As a network has no loops,
    A is strictly block-triangular.

    Args:
        network: The network; any kind of node.

    Returns:
        The model, in the network's type and with its domain; blocks have the names of
        the network's layers.

    Raises:
        InvalidArgumentError: It is no network.

    Cost:
        One pass for the constants; no coefficient is copied.

    Example:
        >>> from relulens.importers.layers import from_layers
        >>> implicit_model(from_layers([([[2.0]], [1.0]), ([[3.0]], None)])).n
        1
    """
    if not isinstance(network, Network):
        raise InvalidArgumentError(
            f"cannot make an implicit model of a {type(network).__name__}: a network is"
            " needed. Load one, or make the model of matrices with ImplicitModel."
        )
    form = blocks(network)
    nodes = [form.node(block) for block in range(len(form.states))]
    shapes = [
        [network.nodes[item.source].shape for item in form.arguments if item.node == i]
        for i in form.states
    ]
    names = _names(network, form.states)
    return ImplicitModel(
        form.matrix("A"),
        form.matrix("B"),
        form.matrix("C"),
        form.matrix("D"),
        activation_with(nodes, shapes, names),
        form.offset("a").to(network.dtype),
        form.offset("d").to(network.dtype),
        domain=network.domain,
        input_shape=network.input_shape,
        output_shape=network.output_shape,
    )


def _names(network: Network, states: tuple[int, ...]) -> list[str]:
    """Return one name a block; the nodes' own where a layer has several."""
    names = [source_name(network, index) for index in states]
    return [
        network.nodes[index].name if names.count(name) > 1 else name
        for index, name in zip(states, names, strict=True)
    ]
