"""Open an ONNX file: bytes to a checked proto with all its weights."""

from dataclasses import dataclass
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from relulens.errors import ModelLoadError
from relulens.importers.onnx_model.external_data import hash_of, read_external_data

_OLDEST = 7


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Opened:
    """A model file that was read.

    Attributes:
        model: The proto, weights from other files included.
        sha256: Hash of the file and of those others.
        versions: Version of every operation set that it uses, by domain.
    """

    model: onnx.ModelProto
    sha256: str
    versions: dict[str, int]


def opened(path: Path) -> Opened:
    """Return a model file's content.

    Raises:
        ModelLoadError: The file cannot be read, is truncated, is not ONNX, uses an
            older operation set than 7, or keeps weights where they are not read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelLoadError(
            f"cannot load {str(path)!r}: {error.strerror or error}. Check the path."
        ) from error
    model = _parsed(content, path)
    versions = {item.domain or "ai.onnx": item.version for item in model.opset_import}
    version = versions.get("ai.onnx", 0)
    newest = onnx.defs.onnx_opset_version()
    if not _OLDEST <= version <= newest and "ai.onnx" in versions:
        raise ModelLoadError(
            f"cannot load {str(path)!r}: it uses operation set {version}, and {_OLDEST}"
            f" to {newest} are known here. Convert it with onnx.version_converter, or"
            " install a newer onnx."
        )
    files = read_external_data(model, path)
    return Opened(model=model, sha256=hash_of(files, content), versions=versions)


def _parsed(content: bytes, path: Path) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise ModelLoadError(
            f"cannot load {str(path)!r}: its {len(content):,} bytes are not an ONNX"
            " model, or the file is truncated. Export or copy it again."
        ) from error
    if not model.opset_import or not (model.graph.node or model.graph.input):
        raise ModelLoadError(
            f"cannot load {str(path)!r}: its {len(content):,} bytes hold"
            f" {len(model.graph.node)} nodes and {len(model.opset_import)} operation"
            " sets, so it is not an ONNX model or is truncated. Export or copy it"
            " again."
        )
    return model
