"""The manifest: what the answers in a folder are answers to."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from relulens.errors import OutputFolderError
from relulens.survey.atomic import write_atomically
from relulens.survey.plan import Plan, sha256_of

NAME = "manifest.json"

_WORDS = {
    "schema": "layout of files",
    "network_sha256": "network",
    "data_sha256": "data",
    "inputs": "number of inputs",
    "seed": "seed",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Manifest:
    """What ``manifest.json`` says.

    Attributes:
        identity: What every answer depends on.
        questions: Per question, what its answers depend on beside that.
        shards: Per question, the rows [start, stop] of every shard.
        versions: Versions of the packages that began the survey.
    """

    identity: Mapping[str, object]
    questions: Mapping[str, Mapping[str, object]]
    shards: Mapping[str, object]
    versions: Mapping[str, str]


def versions() -> dict[str, str]:
    """Return the versions of the packages that results depend on."""
    return {name: version(name) for name in ("relulens", "torch", "numpy", "scipy")}


def claim(plan: Plan) -> None:
    """Make the folder this survey's own, or check that it already is.

    Questions that are new to the folder are added.

    Raises:
        OutputFolderError: The folder holds other things, or answers of another network,
            other data or other options.
    """
    path = plan.out / NAME
    old = read_manifest(plan.out) if path.exists() else None
    if old is None:
        inside = sorted(item.name for item in plan.out.glob("*"))
        if inside:
            raise OutputFolderError(
                f"cannot use {plan.out}: it holds {len(inside)} things"
                f" ({', '.join(inside[:5])}) and no {NAME}, so it is no survey. Choose"
                " another folder."
            )
        plan.out.mkdir(parents=True, exist_ok=True)
    else:
        _compare(plan, old)
    _write(plan, old)


def _compare(plan: Plan, old: Manifest) -> None:
    new = plan.identity()
    for key, word in _WORDS.items():
        if old.identity.get(key) != new[key]:
            raise OutputFolderError(
                f"cannot continue the survey in {plan.out}: its {word} is"
                f" {old.identity.get(key)}, and this one's is {new[key]}. Choose"
                " another folder, or pass overwrite=True (--overwrite) to begin again."
            )
    for name in plan.questions:
        described, found = plan.described(name), old.questions.get(name)
        if found is not None and sha256_of(found) != sha256_of(described):
            raise OutputFolderError(
                f"cannot continue the survey in {plan.out}: its answers to {name} were"
                f" asked with {json.dumps(found)}, and now it is"
                f" {json.dumps(described)}. Choose another folder, or pass"
                " overwrite=True (--overwrite) to begin again."
            )


def _write(plan: Plan, old: Manifest | None) -> None:
    kept = {} if old is None else dict(old.questions)
    questions = {**kept, **{name: plan.described(name) for name in plan.questions}}
    shards = {} if old is None else dict(old.shards)
    for name in plan.questions:
        shards[name] = [[task.start, task.stop] for task in plan.tasks(name)]
    content = {
        **plan.identity(),
        "questions": questions,
        "config_sha256": sha256_of({**plan.identity(), "questions": questions}),
        "shards": shards,
        "versions": versions() if old is None else dict(old.versions),
        "source": plan.data.source,
    }
    text = json.dumps(content, indent=1, sort_keys=True) + "\n"
    write_atomically(plan.out / NAME, lambda place: _put(place, text))


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Return what a folder's manifest says.

    Raises:
        OutputFolderError: There is none, or it is damaged.
    """
    try:
        text = (folder / NAME).read_text(encoding="utf-8")
        return _parsed(json.loads(text))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputFolderError(
            f"cannot continue the survey in {folder}: its {NAME} is damaged ({error})."
            " Choose another folder, or pass overwrite=True (--overwrite) to begin"
            " again."
        ) from error


def _parsed(content: Mapping[str, Any]) -> Manifest:
    identity = {key: content[key] for key in _WORDS}
    questions = dict(content["questions"])
    hashed = sha256_of({**identity, "questions": questions})
    if hashed != content["config_sha256"]:
        raise ValueError(f"its hash is {hashed}, not {content['config_sha256']}")
    return Manifest(
        identity=identity,
        questions=questions,
        shards=dict(content["shards"]),
        versions=dict(content["versions"]),
    )
