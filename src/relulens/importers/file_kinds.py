"""What kind of model file a file is, told by its content."""

import zipfile
from pathlib import Path
from typing import Literal, TypeAlias

from relulens.errors import ModelLoadError

FileKind: TypeAlias = Literal[
    "onnx",
    "safetensors",
    "npz",
    "torch",
    "torch-legacy",
    "torchscript",
    "pt2",
    "pickle",
]

READABLE = (
    "an .onnx file; a state_dict (.pt, .pth) or .safetensors with arch='file.py:build';"
    " an .npz with W0, b0, W1, b1, ..."
)

# How torch.save began before it wrote zip archives.
_LEGACY_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x78\x01", b"\x78\x9c", b"\x78\xda")


def file_kind(path: Path) -> FileKind:
    """Return what a file is; its suffix decides only where the content does not.

    Raises:
        ModelLoadError: There is no such file, or it is none that can be read.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelLoadError(
            f"cannot load {str(path)!r}: it {what}, and 1 file is needed. Pass"
            f" {READABLE}."
        )
    with path.open("rb") as stream:
        head = stream.read(32)
    if head.startswith(b"PK\x03\x04"):
        return _archive_kind(path)
    if head.startswith(_LEGACY_TORCH):
        return "torch-legacy"
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "pickle"
    if _is_safetensors(head, path.stat().st_size):
        return "safetensors"
    return _by_suffix(path, head)


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= max(size - 8, 2)


def _by_suffix(path: Path, head: bytes) -> FileKind:
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        return "onnx"
    if suffix == ".safetensors":
        return "safetensors"
    compressed = head.startswith(_COMPRESSED)
    if suffix in (".pkl", ".pickle", ".joblib") or (compressed and suffix != ".npz"):
        return "pickle"
    if suffix in (".pt", ".pth", ".pt2", ".npz", ".ckpt", ".bin"):
        raise _damaged(path, f"its {path.stat().st_size:,} bytes are no archive")
    raise ModelLoadError(
        f"cannot load {str(path)!r}: its suffix {path.suffix!r} and its content are not"
        f" those of a model file. Pass {READABLE}."
    )


def _damaged(path: Path, fact: str) -> ModelLoadError:
    return ModelLoadError(
        f"cannot load {str(path)!r}: {fact}, so the file is truncated or is something"
        " else. Save or copy it again."
    )


def _archive_kind(path: Path) -> FileKind:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        raise _damaged(path, f"its archive is not whole ({error})") from error
    inner = [name.split("/", 1)[-1] for name in names]
    if any(name.startswith("code/") for name in inner):
        return "torchscript"
    marks = ("archive_format", "serialized_exported_program.json")
    if any(name in marks or name.startswith("models/") for name in inner):
        return "pt2"
    if "data.pkl" in inner:
        return "torch"
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    raise ModelLoadError(
        f"cannot load {str(path)!r}: it is an archive of {len(names)} files, and none"
        f" of them marks it as a model. Pass {READABLE}."
    )
