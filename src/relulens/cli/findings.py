"""The last lines of ``relulens report``: what was found, where it is, what is next."""

import textwrap
from collections.abc import Iterator, Mapping
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from relulens.report.report import Report

WIDTH = 88


def findings(report: "Report", model: str | None, data: str | None) -> list[str]:
    """Return the first sentence of every section, the page's path and what to try.

    Args:
        report: The report.
        model: The model's path as it was given, or nothing for the example that ships.
        data: The data's path, likewise.
    """
    said = [*_verdicts(report.summary), "", *_page(report)]
    return [*said, "", *_next(model, data)]


def _verdicts(summary: Mapping[str, object]) -> Iterator[str]:
    sections = summary["sections"]
    for part in sections.values() if isinstance(sections, Mapping) else ():
        said = part["sentences"]
        if said:
            yield textwrap.fill(f"- {said[0]}", WIDTH, subsequent_indent="  ")


def _page(report: "Report") -> Iterator[str]:
    path = (report.path / "index.html").resolve()
    yield f"page: {path}"
    yield f"  ({path.stat().st_size / 1e6:.1f} MB, opens offline in any browser)"
    if not report.summary["complete"]:
        yield "not complete within the time budget: the same command, without"
        yield "  --overwrite and with a larger --budget, goes on where this one stopped"


def _next(model: str | None, data: str | None) -> Iterator[str]:
    words = [quote(model or "MODEL.onnx"), "--data", quote(data or "DATA.npz")]
    asked = " ".join(words)
    yield "next:"
    if model is None:
        yield f"  relulens report {asked}"
    yield f"  relulens describe {words[0]}"
    yield f"  relulens spectrum {asked} --layer 0 --out spectrum.npz"
    if model is not None:
        yield f"  relulens report {asked} --fail-on 'accuracy<0.9'"
