"""The page of one record. The record is the source; the page says nothing that does not follow from it and its pictures."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from sdaccel.records.view import Git, Record
from sdaccel.reporting import registry, strip
from sdaccel.reporting.cells import Cell, Table
from sdaccel.reporting.page.answer import answer
from sdaccel.reporting.page.caveats import caveats
from sdaccel.reporting.page.content import Page, Picture, Section
from sdaccel.reporting.page.html import html
from sdaccel.reporting.page.names import question
from sdaccel.reporting.page.pictures import Shown, pictures
from sdaccel.reporting.registry import Find
from sdaccel.reporting.tables import tables, undecided
from sdaccel.samples import atomic_write

NAME = "index.html"
DENSITY = 1.8
"""Pixels of a figure per CSS pixel: sharp on a dense screen, text as large as the page's small print."""
OPEN = {
    "summary": "Verdicts",
    "judged_again": "Judged again by today's checks",
    "quality": "Quality",
    "winners": "Who wins at which cost",
    "timing": "Time",
    "bench": "Time",
    "split": "Where the time goes",
    "agreement": "Agreement",
}
FOLDED = {"verdicts": "Every verdict", "metrics": "Every metric", "arms": "Every arm"}
"""Table -> its title on the page."""


def write(record: Record, folder: Path, *, find: Find, figures: Sequence[Path] = ()) -> Path:
    """index.html in the record's folder, with copies of the pictures that it shows."""
    path = folder / NAME
    made = page_of(record, shown=pictures(record, find, folder), figures=figures, files=["record.json"])
    atomic_write(path, html(made).encode())
    return path


def page_of(record: Record, *, shown: Shown, figures: Sequence[Path] = (), files: Sequence[str] = ()) -> Page:
    """`files` lie beside the page, as the figures do."""
    drawn = [path for path in figures if path.suffix == ".png" and path.stem != "sample_sheet"]
    return Page(
        name=record.id,
        question=question(record),
        answer=answer(record),
        verdict=record.verdict,
        command=shlex.join(["python", *record.provenance.command]),
        made=made_on(record),
        reasons=[*record.failures, *(f"Open: {sentence}" for sentence in undecided(record))],
        caveats=caveats(record),
        sections=sections(record),
        rows=shown.rows,
        legend=shown.legend,
        figures=[_figure(path) for path in drawn],
        files=[*files, *(path.name for path in figures)],
    )


def sections(record: Record) -> list[Section]:
    opened = [Section(OPEN[name], filled(found)) for name, found in tables(record, *OPEN).items()]
    return opened + [Section(FOLDED[name], filled(found), folded=True) for name, found in tables(record, *FOLDED).items()]


def filled(table: Table) -> Table:
    """Without columns in which no row has anything."""
    kept = [i for i in range(len(table.columns)) if any(row[i] is not None and row[i] != "" for row in table.rows)]
    rows: list[tuple[Cell, ...]] = [tuple(row[i] for i in kept) for row in table.rows]
    return Table(tuple(table.columns[i] for i in kept), rows, table.missing)


def made_on(record: Record) -> str:
    """What ran it, and the commit and content that tell it from others."""
    source = record.provenance
    threads = f", threads: {source.threads}" if source.threads is not None else ""
    versions = ", ".join(f"{name} {version}" for name, version in sorted(source.libraries.items()))
    commit = (source.git or Git("not in git")).commit[:12]
    content = f" · content {record.content_hash[:12]}" if record.content_hash else ""
    return f"{source.device} ({source.device_name}){threads} · python {source.python}, {versions} · commit {commit}{content}"


def _figure(path: Path) -> Picture:
    wide, high = (round(length / DENSITY) for length in strip.size(path))
    drawing = registry.figures().get(path.stem)
    about = (drawing.draw.__doc__ or "").partition("\n")[0] if drawing else ""
    return Picture(path.name, wide, high, f"{path.stem.replace('_', ' ')}: {about}")
