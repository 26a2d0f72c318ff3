"""Sections of the report: what each one asks of the survey, costs and says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from relulens.report.context import ReportContext

Cell: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Figure:
    """A picture, or a piece of page that draws one.

    Attributes:
        format: What ``content`` is; ``"html"`` is trusted and put in as it is.
        content: The bytes; text is UTF-8.
        caption: What is seen and how to read it, in one or two sentences.
        alt: What the picture shows, for those who do not see it.
    """

    format: Literal["svg", "png", "html"]
    content: bytes
    caption: str
    alt: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Table:
    """A small table.

    Attributes:
        columns: Headings.
        rows: Cells, as many a row as there are headings; ``None`` is left empty.
        caption: What the rows are.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Card:
    """A headline number, shown at the top of the page.

    Attributes:
        value: The number with its unit, such as ``"98.2 %"``.
        label: What it is, in a few words.
        note: Of how many inputs, or what it does not say.
    """

    value: str
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SectionContent:
    """What a section found, in words and pictures.

    Attributes:
        sentences: What was found; plain text, the first is the verdict.
        figures: Pictures, in order.
        table: A table below the pictures, if any.
        check: Lines of Python that check the claims again; they may use ``rl``,
            ``network``, ``x`` and ``samples``, which the page defines once at its top.
        undone: What was not reached and why, in one sentence, if anything.
        cards: Headline numbers for the top of the page.
    """

    sentences: tuple[str, ...]
    figures: tuple[Figure, ...] = ()
    table: Table | None = None
    check: str
    undone: str | None = None
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Section:
    """One section of the report.

    Attributes:
        name: What ``sections=`` and ``--sections`` call it.
        title: Heading on the page.
        questions: Names of the survey's questions that it stands on.
        seconds: Time that building it may take, without its questions.
        bytes_: Most bytes that it may add to the page.
        build: Makes the content from the survey's tables.
    """

    name: str
    title: str
    questions: tuple[str, ...]
    seconds: float
    bytes_: int
    build: Callable[[ReportContext], SectionContent]
