"""Certificates on disk: plain arrays and text, a version, hashes, no code."""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from scipy.sparse import csr_array, issparse
from torch import Tensor

from relulens.certificates.cover import Cover
from relulens.certificates.digest import digest, network_digest
from relulens.certificates.farkas import Farkas
from relulens.certificates.piece import PieceProof
from relulens.certificates.rank import FullRank, Inverse, RowCount, Shift
from relulens.certificates.recession import Recession
from relulens.certificates.spanning import PositiveSpanning
from relulens.certificates.statement import Limits
from relulens.certificates.subjects import GivenMatrix, LayerMap, RegionMap
from relulens.certificates.system import Rows, System
from relulens.certificates.target import target_of
from relulens.certificates.verdict import PreimageCertificate
from relulens.errors import CertificateError, UnknownNameError
from relulens.graph.arrays import tensor_of
from relulens.graph.convert import converted
from relulens.graph.network import Network

Certificate: TypeAlias = (
    PreimageCertificate | PositiveSpanning | FullRank | RowCount | Recession | Farkas
)
Json: TypeAlias = object

VERSION = 1
_KINDS: dict[str, Callable[..., object]] = {
    kind.__name__: kind
    for kind in (
        PreimageCertificate,
        PositiveSpanning,
        FullRank,
        RowCount,
        Recession,
        Farkas,
        Inverse,
        Shift,
        Rows,
        System,
        Limits,
        Cover,
        PieceProof,
        LayerMap,
        RegionMap,
        GivenMatrix,
    )
}


def write_certificate(path: str | Path, certificate: Certificate, /) -> Path:
    """Write a certificate to a file, with the hash of the weights it is about.

    Args:
        path: The file, usually ``.npz``; it is replaced at once or not at all.
        certificate: What a result carries as ``certificate``.

    Returns:
        The path.

    Raises:
        CertificateError: It is no certificate, such as the nothing of an undecided
            result, or the file cannot be written.

    Example:
        >>> # write_certificate("proof.npz", result.certificate)
    """
    if not isinstance(certificate, Certificate):
        raise CertificateError(
            f"cannot write a certificate to {path}: a {type(certificate).__name__} is"
            " given, and it is none. Pass a result's certificate; undecided results"
            " have none."
        )
    arrays: dict[str, np.ndarray] = {}
    body = _encoded(certificate, arrays)
    head = {
        "format": "relulens certificate",
        "version": VERSION,
        "weights": _weights_digest(certificate),
        "body": body,
    }
    text = json.dumps(head, sort_keys=True, allow_nan=True)
    arrays["head"] = np.frombuffer(text.encode(), dtype=np.uint8)
    arrays["checksum"] = np.frombuffer(_checksum(arrays).encode(), dtype=np.uint8)
    target = Path(path)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    partial = target.with_name(target.name + ".part")
    try:
        partial.write_bytes(buffer.getvalue())
        os.replace(partial, target)
    except OSError as error:
        raise CertificateError(
            f"cannot write a certificate to {path}: {error.strerror}. Pass a file in a"
            " folder that exists and can be written."
        ) from error
    return target


def read_certificate(path: str | Path, subject: object, /) -> Certificate:
    """Read a certificate, to be verified against weights that the caller has.

    Args:
        path: A file that ``write_certificate`` made.
        subject: The network it is about, or the matrix.

    Returns:
        The certificate, bound to these weights; call ``verify()`` on it.

    Raises:
        CertificateError: The file is damaged or altered, of another version, or about
            other weights.
    """
    arrays = _loaded(Path(path))
    given = bytes(arrays.pop("checksum")).decode(errors="replace")
    if given != _checksum(arrays):
        raise CertificateError(
            f"cannot read certificate {path}: its checksum is {_checksum(arrays)[:12]}…"
            f" and it states {given[:12]}…. The file was altered; write it again."
        )
    head = json.loads(bytes(arrays.pop("head")).decode())
    if head.get("version") != VERSION:
        raise CertificateError(
            f"cannot read certificate {path}: it has version {head.get('version')}, and"
            f" version {VERSION} is read here. Write it again with this version."
        )
    source = _source(subject)
    try:
        certificate = _decoded(head["body"], arrays, source)
    except (KeyError, TypeError, ValueError, UnknownNameError) as error:
        raise CertificateError(
            f"cannot read certificate {path}: {error}. Its parts do not fit the"
            f" {type(subject).__name__} that was passed; pass the one it is about."
        ) from error
    if not isinstance(certificate, Certificate):
        raise CertificateError(
            f"cannot read certificate {path}: it holds a {type(certificate).__name__},"
            " which is no certificate. Write it again."
        )
    found = _weights_digest(certificate)
    if found != head.get("weights"):
        raise CertificateError(
            f"cannot read certificate {path}: it is about weights"
            f" {str(head.get('weights'))[:12]}…, and those passed are {found[:12]}…."
            " Pass the network or matrix it was made for."
        )
    return certificate


def _loaded(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise CertificateError(
            f"cannot read certificate {path}: {error.strerror or error}. Pass a file"
            " that write_certificate made."
        ) from error
    except (ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise CertificateError(
            f"cannot read certificate {path}: it is no archive of arrays, or it is cut"
            " short. Pass a file that write_certificate made."
        ) from error
    missing = {"head", "checksum"} - arrays.keys()
    if missing:
        raise CertificateError(
            f"cannot read certificate {path}: {len(missing)} of its 2 headers are"
            f" missing ({', '.join(sorted(missing))}). Write it again."
        )
    return arrays


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    state = hashlib.sha256()
    for name in sorted(arrays):
        if name == "checksum":
            continue
        array = np.ascontiguousarray(arrays[name])
        state.update(f"{name}{array.dtype.str}{array.shape}".encode())
        state.update(array.tobytes())
    return state.hexdigest()


def _weights_digest(certificate: Certificate) -> str:
    if isinstance(certificate, PreimageCertificate):
        target = target_of(certificate.network, certificate.layer)
        return network_digest(certificate.network, target.feature)
    return digest(certificate.system.subject)


def _encoded(value: object, arrays: dict[str, np.ndarray]) -> Json:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Network):
        return {"kind": "network"}
    if isinstance(value, tuple):
        return [_encoded(part, arrays) for part in value]
    if isinstance(value, Tensor):
        name = f"array{len(arrays)}"
        arrays[name] = value.numpy()
        return {"kind": "array", "name": name}
    if isinstance(value, GivenMatrix):
        return {"kind": "matrix"}
    if is_dataclass(value) and type(value).__name__ in _KINDS:
        parts = {
            f.name: _encoded(getattr(value, f.name), arrays) for f in fields(value)
        }
        return {"kind": type(value).__name__, "fields": parts}
    raise CertificateError(
        f"cannot write a certificate: a part of type {type(value).__name__} has no form"
        f" on disk, and {len(_KINDS)} types do. Pass a result's certificate."
    )


def _decoded(value: Json, arrays: dict[str, np.ndarray], source: object) -> object:
    if isinstance(value, list):
        return tuple(_decoded(part, arrays, source) for part in value)
    if not isinstance(value, dict):
        return value
    kind = value["kind"]
    if kind == "network":
        if not isinstance(source, Network):
            raise TypeError("it is about a network")
        return source
    if kind == "matrix":
        if not isinstance(source, GivenMatrix):
            raise TypeError("it is about a matrix")
        return source
    if kind == "array":
        return torch.from_numpy(arrays[value["name"]].copy())
    parts = {k: _decoded(v, arrays, source) for k, v in value["fields"].items()}
    return _KINDS[kind](**parts)


def _source(subject: object) -> object:
    if isinstance(subject, Network):
        return converted(subject, torch.float64, torch.device("cpu"))
    if issparse(subject):
        return GivenMatrix(matrix=csr_array(subject, dtype=np.float64))
    values = tensor_of(subject, subject="the subject of a certificate")
    return GivenMatrix(matrix=values.to("cpu", torch.float64).contiguous().clone())
