"""Keep the page under its limit: pictures go first, and the page says so."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from relulens.report.section import Figure, Section, SectionContent

BYTES = 5 * 1024 * 1024
"""Default for the most bytes of the page."""


def fitted(
    contents: Sequence[tuple[Section, SectionContent]],
    whole: Callable[[Sequence[tuple[Section, SectionContent]]], str],
    limit: int,
) -> str:
    """Return the page with as many of its pictures as the limit allows.

    Args:
        contents: The sections and what they found.
        whole: Renders the page.
        limit: Most bytes of the page.

    Returns:
        The page; where words alone exceed the limit, the page without any picture.
    """
    kept = [(section, within_budget(section, content)) for section, content in contents]
    page = whole(kept)
    while len(page.encode()) > limit:
        largest = _largest_picture(kept)
        if largest is None:
            return page
        section, picture = largest
        kept[section] = (kept[section][0], _without(kept[section][1], picture, limit))
        page = whole(kept)
    return page


def within_budget(section: Section, content: SectionContent) -> SectionContent:
    """Return a section's content with as many pictures as its own budget allows."""
    kept = content
    while sum(len(f.content) for f in kept.figures) > section.bytes_:
        sizes = [_weight(figure) for figure in kept.figures]
        kept = _without(kept, sizes.index(max(sizes)), section.bytes_)
    return kept


def _weight(figure: Figure) -> tuple[bool, int]:
    # drawings carry the findings in fewer bytes, so photographs go first
    return (figure.format != "svg", len(figure.content))


def _largest_picture(
    contents: Sequence[tuple[Section, SectionContent]],
) -> tuple[int, int] | None:
    weights = {
        (i, j): _weight(figure)
        for i, (_, content) in enumerate(contents)
        for j, figure in enumerate(content.figures)
    }
    return max(weights, key=weights.__getitem__) if weights else None


def _without(content: SectionContent, picture: int, limit: int) -> SectionContent:
    gone = content.figures[picture]
    said = (
        f"Left out to stay under {limit:,} bytes: a picture of {len(gone.content):,}"
        f" bytes ({gone.alt})."
    )
    figures = content.figures[:picture] + content.figures[picture + 1 :]
    undone = said if content.undone is None else f"{content.undone} {said}"
    return replace(content, figures=figures, undone=undone)
