"""Write implicit models to files, and read them."""

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from scipy.sparse import csr_array

from relulens.errors import DataError, InvalidArgumentError, OutputFolderError
from relulens.graph.domain import Box
from relulens.graph.groups import Groups, Ragged
from relulens.graph.linear_map import LinearMap
from relulens.graph.maps import AlongAxis, SparseMatrix
from relulens.graph.maps.block_matrix import BlockMatrix
from relulens.graph.nodes import Maximum, Smooth, TwoSlope
from relulens.implicit.model import ImplicitModel, as_model
from relulens.implicit.phi import SMOOTH, activation_of

ENDINGS = (".npz", ".safetensors")
"""Endings of the files' names."""

VERSION = 1
"""Version of the format; files of later ones are refused."""

Arrays = dict[str, np.ndarray]


def write_implicit_model(model: ImplicitModel, path: str | Path, /) -> Path:
    """Write a model to an ``.npz`` or ``.safetensors`` file.

    Blocks are written one by one: dense where they are dense, else as compressed sparse
    rows, so that the structure is kept. Maps without coefficients of their own become
    sparse matrices.

    Raises:
        InvalidArgumentError: phi has blocks other than two-slope ones, maxima and named
            smooth functions, the file's name has another ending, or it is no
            implicit model.
        OutputFolderError: The file's folder does not exist.
        MemoryLimitError: A block is too large for a sparse matrix.
    """
    model = as_model(model, verb="write")
    target = model_file(path)
    arrays: Arrays = {
        "a": model.a.cpu().numpy(),
        "d": model.d.cpu().numpy(),
    }
    blocks: list[dict[str, object]] = []
    for i, block in enumerate(model.phi.blocks):
        entry: dict[str, object] = {"name": block.name, "shape": list(block.node.shape)}
        match block.node:
            case TwoSlope(negative=negative, positive=positive):
                arrays[f"phi.{i}.negative"] = negative.cpu().numpy()
                arrays[f"phi.{i}.positive"] = positive.cpu().numpy()
            case Maximum(groups=groups):
                entry["reads"] = list(groups.in_shape)
                arrays[f"phi.{i}.index"] = groups.ragged.index.cpu().numpy()
                arrays[f"phi.{i}.pointers"] = groups.ragged.pointers.cpu().numpy()
            case Smooth(function=function) if SMOOTH.get(function.name) is function:
                entry["function"] = function.name
            case _:
                raise InvalidArgumentError(
                    f"cannot write the model: {block.kind} at {block.name!r} has no"
                    " form in the file. Write the network it came from instead."
                )
        blocks.append(entry)
    matrices = {k: _put(k, getattr(model, k), arrays) for k in "ABCD"}
    header = {
        "format": "relulens implicit model",
        "version": VERSION,
        "dtype": str(model.dtype).removeprefix("torch."),
        "blocks": blocks,
        "matrices": matrices,
        "input_shape": list(model.input_shape),
        "output_shape": list(model.output_shape),
    }
    if model.domain is not None:
        arrays["domain.low"] = model.domain.low.cpu().numpy()
        arrays["domain.high"] = model.domain.high.cpu().numpy()
    _write(target, arrays, json.dumps(header))
    return target


def model_file(path: str | Path) -> Path:
    """Return the path of a file that a model can be written to.

    Raises:
        InvalidArgumentError: The name has another ending than ``.npz`` and
            ``.safetensors``.
        OutputFolderError: The file's folder does not exist.
    """
    target = Path(path)
    if target.suffix not in ENDINGS:
        raise InvalidArgumentError(
            f"cannot write the model: {target.suffix!r} is neither .npz nor"
            " .safetensors. Name the file with one of them."
        )
    if not target.parent.is_dir():
        raise OutputFolderError(
            f"cannot write the model to {target}: there is no folder"
            f" {str(target.parent)!r}. Make it, or choose another one."
        )
    return target


def _put(letter: str, matrix: BlockMatrix, arrays: Arrays) -> dict[str, object]:
    """Put a matrix' blocks among the arrays, and return what the header says of it."""
    places: list[list[object]] = []
    for (i, j), part in sorted(matrix.blocks.items()):
        key = f"{letter}.{i}.{j}"
        dense = isinstance(part, AlongAxis) and len(part.in_shape) == 1
        if isinstance(part, AlongAxis) and dense:
            arrays[key] = part.matrix.detach().cpu().numpy()
        else:
            sparse = part.to_sparse()
            arrays[f"{key}.data"] = sparse.data
            arrays[f"{key}.indices"] = sparse.indices
            arrays[f"{key}.indptr"] = sparse.indptr
        places.append([i, j, "dense" if dense else "csr"])
    return {
        "rows": list(matrix.row_offsets),
        "columns": list(matrix.column_offsets),
        "blocks": places,
    }


def _write(path: Path, arrays: Arrays, header: str) -> None:
    if path.suffix == ".npz":
        text = np.frombuffer(header.encode(), dtype=np.uint8)
        np.savez(path, allow_pickle=False, header=text, **arrays)
    else:
        from safetensors.numpy import save_file

        whole = {k: np.ascontiguousarray(v) for k, v in arrays.items()}
        save_file(whole, path, metadata={"header": header})


def read_implicit_model(path: str | Path, /) -> ImplicitModel:
    """Read a model that ``write_implicit_model`` wrote.

    Raises:
        DataError: There is no such file, or it is no such model, is damaged, or is of
            a later version.
    """
    source = Path(path)
    if not source.is_file():
        what = "it is a folder" if source.is_dir() else "there is no such file"
        raise DataError(
            f"cannot read {source}: {what}. Pass an .npz or .safetensors file that"
            " write_implicit_model wrote."
        )
    arrays, header = _read(source)
    if header.get("format") != "relulens implicit model":
        raise DataError(f"cannot read {source}: it holds no implicit model.")
    if header.get("version") != VERSION:
        raise DataError(
            f"cannot read {source}: it is of version {header.get('version')}, and this"
            f" release reads {VERSION}. Update relulens."
        )
    try:
        return _model(arrays, header)
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DataError(
            f"cannot read {source}: it is damaged ({error}). Write it again."
        ) from error


def _read(path: Path) -> tuple[Arrays, dict[str, Any]]:
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as opened:
                header = (opened.metadata() or {}).get("header", "{}")
                arrays = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
                return arrays, json.loads(header)
        except (SafetensorError, json.JSONDecodeError) as error:
            raise DataError(f"cannot read {path}: {error}.") from error
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as opened:
            arrays = dict(opened)
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise DataError(f"cannot read {path}: it is no .npz file ({error}).") from error
    text = arrays.pop("header", np.zeros(0, dtype=np.uint8)).tobytes() or b"{}"
    try:
        return arrays, json.loads(text)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: its header is damaged.") from error


def _model(arrays: Arrays, header: dict[str, Any]) -> ImplicitModel:
    nodes = [_node(i, block, arrays) for i, block in enumerate(header["blocks"])]
    domain = None
    if "domain.low" in arrays:
        domain = Box(arrays["domain.low"], arrays["domain.high"])
    stated = header["matrices"]
    return ImplicitModel(
        _matrix("A", arrays, stated["A"]),
        _matrix("B", arrays, stated["B"]),
        _matrix("C", arrays, stated["C"]),
        _matrix("D", arrays, stated["D"]),
        activation_of(nodes, [block["name"] for block in header["blocks"]]),
        torch.from_numpy(arrays["a"]),
        torch.from_numpy(arrays["d"]),
        domain=domain,
        input_shape=tuple(header["input_shape"]),
        output_shape=tuple(header["output_shape"]),
    )


def _node(i: int, block: dict[str, Any], arrays: Arrays) -> TwoSlope | Smooth | Maximum:
    name, shape = block["name"], tuple(block["shape"])
    if "function" in block:
        function = SMOOTH[block["function"]]
        return Smooth(name=name, shape=shape, source=0, function=function)

    def stored(what: str) -> torch.Tensor:
        return torch.from_numpy(arrays[f"phi.{i}.{what}"])

    if "reads" in block:
        lists = Ragged(stored("index"), stored("pointers"))
        groups = Groups(tuple(block["reads"]), shape, lists=lists)
        return Maximum(name=name, shape=shape, source=0, groups=groups)
    low, high = stored("negative"), stored("positive")
    return TwoSlope(name=name, shape=shape, source=0, negative=low, positive=high)


def _matrix(letter: str, arrays: Arrays, stated: dict[str, Any]) -> BlockMatrix:
    rows, columns = tuple(stated["rows"]), tuple(stated["columns"])
    blocks: dict[tuple[int, int], LinearMap] = {}
    for i, j, kind in stated["blocks"]:
        key = f"{letter}.{i}.{j}"
        size = rows[i + 1] - rows[i], columns[j + 1] - columns[j]
        if kind == "dense":
            blocks[i, j] = AlongAxis(torch.from_numpy(arrays[key]), (size[1],), 0)
        else:
            parts = tuple(arrays[f"{key}.{p}"] for p in ("data", "indices", "indptr"))
            blocks[i, j] = SparseMatrix(
                csr_array(parts, shape=size), (size[1],), (size[0],)
            )
    return BlockMatrix(blocks, rows, columns)
