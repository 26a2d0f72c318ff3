"""Write the tables of supported operations from the importers' registry.

python scripts/operations_table.py            # write both tables
python scripts/operations_table.py --check README.md
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from relulens.importers import aten, onnx_rules
from relulens.importers.registry import Rule, operations_table, rules

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- operations: begin -->\n", "<!-- operations: end -->\n"
SOURCES = {"ai.onnx": "ONNX", "aten": "PyTorch (`torch.export`, ATen)"}
# Importing these registers their rules.
FAMILIES = (aten, onnx_rules)
INTRODUCTION = """\
Made from the importers' registry by `scripts/operations_table.py`; do not edit. An
operation that is not here stops the import, and the error names every such node.
*Becomes* lists the kinds of [node](concepts.md) that an operation turns into: exact
polyhedral questions need `Affine`, `TwoSlope` and `Maximum`; evaluation, tangent maps
and spectra take every kind.
"""
KINDS = {
    "Affine": "`Affine`: exact, linear maps and biases",
    "TwoSlope": "`TwoSlope`: exact, a slope on each side of 0",
    "Maximum": "`Maximum`: exact, maxima over groups",
    "Smooth": "`Smooth`: evaluation, tangent maps and spectra",
    "Coupled": "`Coupled`: evaluation, tangent maps and spectra",
}


def heading(domain: str) -> str:
    return SOURCES.get(domain, f"`{domain}`")


def domains() -> list[str]:
    found = {rule.domain for rule in rules()}
    return [name for name in SOURCES if name in found] + sorted(found - set(SOURCES))


def page() -> str:
    parts = [
        "# Supported operations\n",
        INTRODUCTION,
    ]
    for domain in domains():
        parts += [f"## {heading(domain)}\n", operations_table(rules(domain))]
    return "\n".join(parts)


def names(chosen: Sequence[Rule], kind: str) -> str:
    """List operations of a kind, without internal names and overloads."""
    found = {rule.operation for rule in chosen if kind in rule.kinds}
    public = {name.split(".")[0] for name in found if not name.startswith("_")}
    return ", ".join(f"`{name}`" for name in sorted(public, key=str.lower)) or "none"


def readme() -> str:
    path = ROOT / "README.md"
    before, rest = path.read_text().split(BEGIN)
    _, after = rest.split(END)
    columns = [name for name in domains() if name in SOURCES]
    lines = [
        "| becomes | " + " | ".join(map(heading, columns)) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for kind, words in KINDS.items():
        cells = [names(rules(domain), kind) for domain in columns]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    return before + BEGIN + "\n".join(lines) + "\n" + END + after


DOCUMENTS: dict[str, Callable[[], str]] = {
    "docs/operations.md": page,
    "README.md": readme,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", choices=list(DOCUMENTS), help="compare, do not write"
    )
    chosen = parser.parse_args().check
    if chosen is None:
        for name, text in DOCUMENTS.items():
            (ROOT / name).write_text(text())
        return 0
    if (ROOT / chosen).read_text() == DOCUMENTS[chosen]():
        return 0
    print(f"{chosen} is not what the registry says: run scripts/operations_table.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
