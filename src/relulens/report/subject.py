"""What a report is about: a network and a data set, however they were given."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from relulens.data.data_set import DataSet
from relulens.data.digits import embedded_data
from relulens.data.fitting import check_fits
from relulens.data.read import array_data
from relulens.embedded import CLASSES, DOMAIN, digits_model
from relulens.errors import InvalidArgumentError
from relulens.graph.domain import Box
from relulens.graph.network import Network
from relulens.importers.load import load
from relulens.importers.torch_export import from_torch


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Subject:
    """A network and its data.

    Attributes:
        network: The network.
        data: The data set, restricted to the inputs of the report.
        class_names: Names of the outputs, if they have names.
        embedded: Whether it is the example that the package ships.
    """

    network: Network
    data: DataSet
    class_names: tuple[str, ...] | None
    embedded: bool


def subject(
    network_or_module: Network | torch.nn.Module | None,
    x: object,
    labels: object,
    *,
    samples: int | None,
    seed: int,
) -> Subject:
    """Return what a report is about.

    Args:
        network_or_module: A network; a module is imported; nothing means the example.
        x: A data set, inputs [N, *input_shape], or nothing.
        labels: Class numbers [N], if ``x`` is an array.
        samples: How many inputs to use, if ``x`` is an array.
        seed: Seed of their choice.

    Raises:
        InvalidArgumentError: Data without a network, labels without inputs, options
            that a data set already fixes, or a module without two inputs to export it
            with.
    """
    _check(network_or_module, x, labels, samples)
    if network_or_module is None:
        network = embedded_network()
        data = embedded_data(network, samples=samples, seed=seed)
        return Subject(network=network, data=data, class_names=CLASSES, embedded=True)
    network = _network(network_or_module, x)
    if isinstance(x, DataSet):
        check_fits(x, network)
        data = x
    elif x is None:
        data = _no_data(network)
    else:
        data = array_data(x, labels, network, samples=samples, seed=seed)
    fitting = data.class_names is not None and (
        len(data.class_names) == network.output_size
    )
    names = data.class_names if fitting else None
    return Subject(network=network, data=data, class_names=names, embedded=False)


def embedded_network() -> Network:
    """Return the small classifier of digits that the package ships."""
    with digits_model() as path:
        return load(path, domain=Box(*DOMAIN))


def _check(
    network_or_module: object, x: object, labels: object, samples: int | None
) -> None:
    if network_or_module is None and x is not None:
        raise InvalidArgumentError(
            "cannot make a report of data alone: 0 networks are given, and 1 is needed."
            " Pass the network first, or nothing at all for the example."
        )
    if labels is not None and (x is None or isinstance(x, DataSet)):
        raise InvalidArgumentError(
            "cannot take labels: they go with an array of inputs, and a data set brings"
            " its own. Pass x and labels as arrays, or leave labels out."
        )
    if samples is not None and isinstance(x, DataSet):
        raise InvalidArgumentError(
            f"cannot take samples={samples} of a data set: its {len(x)} inputs are"
            " chosen already. Pass samples to read_data."
        )


def _network(given: Network | torch.nn.Module, x: object) -> Network:
    if isinstance(given, Network):
        return given
    rows = 0 if x is None else len(x)  # type: ignore[arg-type]
    if rows < 2:
        raise InvalidArgumentError(
            f"cannot import the module: {rows} inputs are given, and 2 are needed to"
            " export it. Pass x, or import it first: relulens.from_torch(module,"
            " example)."
        )
    first = x.take([0, 1]) if isinstance(x, DataSet) else x[:2]  # type: ignore[index]
    dtype = next((p.dtype for p in given.parameters()), torch.float32)
    return from_torch(given, torch.as_tensor(first).to(dtype))


def _no_data(network: Network) -> DataSet:
    empty = array_data(np.empty((0, *network.input_shape)), None, network)
    note = "no data were given: only what holds for every input is said"
    return replace(empty, source="no data", notes=(note,))
