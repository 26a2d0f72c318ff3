"""Render the report's page: one HTML file that needs nothing else."""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from relulens.plot.theme import number
from relulens.report.page.cells import CELLS_CLASS
from relulens.report.page.figures import figure_markup
from relulens.report.page.size import BYTES, fitted
from relulens.report.section import Card, Cell, Section, SectionContent

SETUP = """import pandas as pd
import relulens as rl
# put your own paths here
network = rl.load("model.onnx")
x = ...  # the inputs of this report [N, *input_shape], in its order
samples = pd.read_parquet("samples.parquet")"""
"""Lines that the checks build on, where the report gives none of its own."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Provenance:
    """Where a page comes from, as the reader sees it.

    Attributes:
        facts: Name and value of every fact, such as hashes, versions and options.
        command: The command line that makes the same report again.
        setup: Lines of Python that define ``rl``, ``network``, ``x`` and ``samples``.
    """

    facts: Mapping[str, str]
    command: str = ""
    setup: str = SETUP


def render(
    contents: Sequence[tuple[Section, SectionContent]],
    provenance: Provenance,
    summary: Mapping[str, str],
    *,
    title: str,
    limit: int = BYTES,
) -> str:
    """Return the page as HTML text.

    Args:
        contents: The sections and what they found, in the page's order.
        provenance: Where the page comes from.
        summary: Short facts for the head of the page, such as network and data.
        title: Heading of the page.
        limit: Most bytes of the page; pictures are left out, largest first, to keep it.

    Returns:
        A whole HTML document that makes no request.
    """
    texts = {
        "style": _resource("page.css"),
        "script": _resource("page.js"),
        "early": _resource("early.js"),
        "viewer": _resource("viewer.js"),
    }
    template = _environment().get_template("page.html.j2")

    def whole(parts: Sequence[tuple[Section, SectionContent]]) -> str:
        used = texts if _has_cells(parts) else texts | {"viewer": ""}
        return template.render(
            contents=parts,
            cards=_cards(parts),
            provenance=provenance,
            summary=summary,
            title=title,
            policy=_policy(used["early"], used["script"], used["viewer"]),
            **{name: Markup(text) for name, text in used.items()},
        )

    return fitted(contents, whole, limit)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("relulens.report.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    ours: dict[str, Any] = {
        "figure": figure_markup,
        "cell": cell_text,
        "numeric": numeric,
    }
    environment.filters.update(ours)
    return environment


def _resource(name: str) -> str:
    return files("relulens.report.page").joinpath("templates", name).read_text("utf-8")


def _has_cells(contents: Sequence[tuple[Section, SectionContent]]) -> bool:
    figures = (figure for _, content in contents for figure in content.figures)
    return any(f.format == "html" and CELLS_CLASS in f.content for f in figures)


def _cards(
    contents: Sequence[tuple[Section, SectionContent]],
) -> list[tuple[str, Card]]:
    return [(s.name, card) for s, content in contents for card in content.cards]


def _policy(*scripts: str) -> str:
    """Return a content policy that forbids every request and all scripts but ours."""
    there = [script.encode() for script in scripts if script]
    digests = [hashlib.sha256(script).digest() for script in there]
    allowed = " ".join(f"'sha256-{base64.b64encode(d).decode()}'" for d in digests)
    return (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline';"
        f" script-src {allowed}"
    )


def numeric(rows: Sequence[Sequence[Cell]], column: int) -> bool:
    """Tell whether a column of a table holds numbers and nothing else."""
    there = [row[column] for row in rows if row[column] is not None]
    numbers = [v for v in there if isinstance(v, int | float) and v is not True]
    return bool(there) and len(numbers) == len(there)


def cell_text(value: Cell) -> str:
    """Return a table cell as people read it.

    Example:
        >>> cell_text(0.000123456), cell_text(None), cell_text(True)
        ('0.000123', '', 'yes')
    """
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return "not computed" if math.isnan(value) else number(value)
        case _:
            return value
