"""A hash of what a network computes, to tell results of different networks apart."""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from relulens.graph.coupled import CoupledFunction
from relulens.graph.network import Network
from relulens.graph.smooth import SmoothFunction


def fingerprint(network: Network) -> str:
    """Return a SHA-256 over structure, coefficients, names, domain and type.

    Two networks with one fingerprint give the same answers; where a network came from
    does not count.

    Args:
        network: The network.
    """
    digest = _Digest()
    digest.add(network.nodes)
    digest.add(network.output)
    digest.add(network.layers)
    digest.add(dict(sorted(network.cuts.items())))
    digest.add(None if network.domain is None else network.domain)
    digest.add(network.dtype)
    return digest.hexdigest()


class _Digest:
    """SHA-256 over nested values, each with its kind in front."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def hexdigest(self) -> str:
        return self._hash.hexdigest()

    def add(self, value: object) -> None:
        match value:
            case None | bool() | int() | float() | str():
                self._word(f"{type(value).__name__}:{value!r}")
            case torch.dtype() | torch.device():
                self._word(str(value))
            case Tensor():
                self._array(value.detach().cpu().numpy())
            case np.ndarray():
                self._array(value)
            case tuple() | list():
                self._word(f"list:{len(value)}")
                for item in value:
                    self.add(item)
            case _:
                self.add(_parts(value))

    def _word(self, word: str) -> None:
        content = word.encode()
        self._hash.update(f"{len(content)}:".encode() + content)

    def _array(self, value: np.ndarray) -> None:
        self._word(f"array:{value.dtype.str}:{value.shape}")
        self._hash.update(np.ascontiguousarray(value).tobytes())


def _parts(value: object) -> list[object]:
    match value:
        case csr_array():
            return ["csr", value.shape, value.indptr, value.indices, value.data]
        case Mapping():
            return ["mapping", *value.items()]
        case SmoothFunction():
            return ["smooth", value.name, value.slopes, value.kinks]
        case CoupledFunction() if not is_dataclass(value):
            return ["coupled", type(value).__qualname__]
    if not is_dataclass(value):
        raise TypeError(f"a {type(value).__name__} has no defined bytes")
    named = ((item.name, getattr(value, item.name)) for item in fields(value))
    return [type(value).__qualname__, *named]
