"""Follow a module in training: the same network with the module's weights of now."""

from torch import nn

from relulens.errors import InvalidArgumentError, ModelLoadError
from relulens.graph.network import Network
from relulens.importers.aten.assemble import TorchSource
from relulens.importers.torch_export import finished, read_again


def refresh(network: Network, module: nn.Module, *, check: bool = True) -> Network:
    """Return a network from PyTorch with the module's current weights.

    The exported graph is kept with the network, so nothing is exported again.

    Args:
        network: A network from ``from_torch``.
        module: The module it came from, or another one of the same architecture.
        check: Whether to compare the new network with the module.

    Returns:
        A new network; the old one is not changed.

    Raises:
        InvalidArgumentError: The network did not come from a module.
        ModelLoadError: The module has other parameters, or other shapes.
        ImportMismatchError: The new network differs from the module, as it does if the
            module computes something else than when it was exported.
        NotFiniteError: A weight is NaN or infinite.

    Cost:
        A copy of the weights, and two forward passes of a few inputs for the check.

    Example:
        >>> module = torch.nn.Linear(1, 1)
        >>> network = from_torch(module, torch.zeros(1, 1))
        >>> _ = torch.nn.init.ones_(module.weight), torch.nn.init.ones_(module.bias)
        >>> evaluate(refresh(network, module), torch.tensor([[2.0]]))
        tensor([[3.]], dtype=torch.float64)
    """
    source = network.source
    if not isinstance(source, TorchSource):
        raise InvalidArgumentError(
            f"cannot refresh the network: it came from {network.provenance.format!r},"
            " and only networks from from_torch follow a module. Import it again."
        )
    copies = read_again(source, module)
    _check_shapes(source, copies.shapes)
    return finished(source, copies, check=check)


def _check_shapes(source: TorchSource, shapes: dict[str, tuple[int, ...]]) -> None:
    wanted = source.shapes
    missing = [name for name in wanted if name not in shapes]
    extra = [name for name in shapes if name not in wanted]
    if missing or extra:
        listed = [f"{name} is missing" for name in missing]
        listed += [f"{name} is new" for name in extra]
        raise ModelLoadError(
            f"cannot refresh the network: {len(missing)} of its {len(wanted)}"
            f" parameters are missing and {len(extra)} are new"
            f" ({'; '.join(listed[:5])}). Pass a module of the same architecture, or"
            " use from_torch."
        )
    for name, shape in wanted.items():
        if shapes[name] != shape:
            raise ModelLoadError(
                f"cannot refresh the network: {name!r} has shape {list(shapes[name])},"
                f" and the network was made with {list(shape)}. Pass a module of the"
                " same architecture, or use from_torch."
            )
