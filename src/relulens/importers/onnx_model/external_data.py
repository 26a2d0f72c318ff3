"""Weights beside an ONNX file: read only from the model's own folder."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from onnx import TensorProto

from relulens.errors import ModelLoadError


def tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor of a model: initializers and constants, subgraphs included."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Iterable[onnx.NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            if attribute.HasField("g"):
                yield from _graph_tensors(attribute.g)
            for graph in attribute.graphs:
                yield from _graph_tensors(graph)


def read_external_data(model: onnx.ModelProto, path: Path) -> list[Path]:
    """Put the numbers that a model keeps in other files into it.

    Args:
        model: The model, changed in place.
        path: The file it was read from.

    Returns:
        The other files, each once, by name.

    Raises:
        ModelLoadError: A file is missing, too short, or outside the model's own folder.
    """
    folder = path.parent.resolve()
    files: dict[str, Path] = {}
    for tensor in tensors(model):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        if location not in files:
            files[location] = _inside(location, folder, path, tensor.name)
        tensor.raw_data = _bytes(files[location], entries, path, tensor.name)
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    return sorted(set(files.values()))


def _inside(location: str, folder: Path, path: Path, tensor: str) -> Path:
    """Return the side-car's path, refused unless it lies in the model's folder."""
    subject = (
        f"cannot load {str(path)!r}: its tensor {tensor!r} is kept in {location!r}"
    )
    outside = (
        f"{subject}, which is not inside the model's own folder, and 0 such files are"
        " read. Put the weights beside the model."
    )
    given = Path(location)
    # A backslash is a separator elsewhere; names with one are refused everywhere.
    if not location or given.is_absolute() or ".." in given.parts or "\\" in location:
        raise ModelLoadError(outside)
    target = folder / given
    if not target.resolve().is_relative_to(folder):
        raise ModelLoadError(outside)
    if not target.is_file():
        raise ModelLoadError(
            f"{subject}, and there is no such file in {str(folder)!r}. Copy it there;"
            " it belongs to the model."
        )
    return target.resolve()


def _bytes(file: Path, entries: dict[str, str], path: Path, tensor: str) -> bytes:
    subject = f"cannot load {str(path)!r}: its tensor {tensor!r}"
    size = file.stat().st_size
    try:
        offset = int(entries.get("offset", "0"))
        length = int(entries.get("length", str(size - offset)))
    except ValueError as error:
        raise ModelLoadError(
            f"{subject} has an offset or length that is no number. Export it again."
        ) from error
    if offset < 0 or length < 0 or offset + length > size:
        raise ModelLoadError(
            f"{subject} needs bytes {offset} to {offset + length} of {file.name!r}, and"
            f" the file has {size}. It is truncated: copy it again."
        )
    with file.open("rb") as stream:
        stream.seek(offset)
        return stream.read(length)


def hash_of(files: list[Path], content: bytes) -> str:
    """Return the SHA-256 of a model's bytes and of its other files, in order."""
    digest = hashlib.sha256(content)
    for file in files:
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
