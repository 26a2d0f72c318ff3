"""A page of its own for one slice."""

from collections.abc import Sequence

from relulens.plot.theme import number
from relulens.regions.cell_values import CellValues
from relulens.regions.partition import Partition
from relulens.report.page.cells import cells_markup
from relulens.report.page.render import Provenance, render
from relulens.report.section import Figure, Section, SectionContent
from relulens.report.slice_cells import slice_cells

BYTES = 50_000_000


def slice_page(
    partition: Partition,
    values: CellValues,
    marks: Sequence[tuple[float, float, str]] = (),
) -> str:
    """Return a page on which the reader moves in a slice.

    Args:
        partition: The cells.
        values: What ``cell_values`` found.
        marks: Plane coordinates and a label, per marked point.

    Returns:
        One HTML document that makes no request.
    """
    label = f"{partition.count:,} linear regions of a slice"
    cells = slice_cells(
        partition,
        values,
        classes=[str(c) for c in range(partition.network.output_size)],
        marks=marks,
        templates=True,
        label=label,
    )
    share = f"{100 * partition.finished_area:.3g} % of the polygon was finished."
    content = SectionContent(
        sentences=(
            f"{label}: areas sum to {number(float(partition.areas.sum()))}.",
            *(() if partition.complete else (share,)),
        ),
        figures=(
            Figure(
                format="html",
                content=str(cells_markup(cells)).encode(),
                caption="Every region, exactly. Thick lines: the decision boundary.",
                alt=label,
            ),
        ),
        check="",
    )
    section = Section(
        name="slice",
        title="Slice",
        questions=(),
        seconds=0.0,
        bytes_=BYTES,
        build=lambda _: content,
    )
    facts = {"layers": str(len(partition.layers))}
    return render(
        [(section, content)],
        Provenance(facts=facts, setup=""),
        {"network": repr(partition.network)},
        title="A slice",
        limit=BYTES,
    )
