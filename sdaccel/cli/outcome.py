"""What a finished study shows: the verdicts on the screen, figures and a page beside the record."""

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table as OnScreen

from sdaccel.cli import objective
from sdaccel.errors import BadInput
from sdaccel.predict.progress import Phase
from sdaccel.records import calibration
from sdaccel.records.outline import outline_of
from sdaccel.records.view import Record
from sdaccel.reporting import figures
from sdaccel.reporting.cells import Range, Table, shown
from sdaccel.reporting.page import of_record
from sdaccel.reporting.quality import quality
from sdaccel.reporting.sample_sheet import in_run
from sdaccel.reporting.tables import tables, undecided
from sdaccel.reporting.timing import timing_table
from sdaccel.studies.compose import Plan


def finish(record: Record, plan: Plan, folder: Path, console: Console) -> bool:
    """False where a figure that the record has all it needs of could not be drawn; everything else is done."""
    show(record, console)
    if record.study.recommend.arms:
        console.print(f"{calibration.said(record)}; {calibration.write(record, folder)}")
    with Phase(console, "drawing", total=len(figures.names_of(outline_of(record))) + 1, unit="files") as phase:
        drawn = _draw(record, folder, console, phase)
        page = of_record.write(record, folder, find=in_run(record, folder.parent / "samples"), figures=_drawings(folder))
        phase.advance(of_record.NAME)
    objective.tell(plan.cfg.objective, record, folder / "record.json")
    if plan.cfg.objective:
        console.print(f"objective {plan.cfg.objective} = {objective.value(plan.cfg.objective, record)}")
    console.print(f"record {folder / 'record.json'} · content {record.content_hash[:12]}")
    console.print(f"page {page}")
    return drawn


def _drawings(folder: Path) -> list[Path]:
    """What was drawn of its record, now or by an attempt before."""
    return sorted([*folder.glob("*.pdf"), *folder.glob("*.png")])


def _draw(record: Record, folder: Path, console: Console, phase: Phase) -> bool:
    """The figures; a line for each that was promised and for which the results do not suffice."""
    for sentence in figures.lacking(record.study.figures, outline_of(record)):
        console.print(f"left out: {sentence}")
    try:
        figures.draw(record, folder, find=in_run(record, folder.parent / "samples"), done=phase.advance)
    except BadInput as error:
        print(error, file=sys.stderr)
        return False
    return True


def show(record: Record, console: Console) -> None:
    """One row per check and role, the worst arm of those it looked at; then time, quality and pixels."""
    verdicts(record, console)
    for line in clocked(record):
        console.print(line)
    if record.measured:
        _print(quality(record, screen=True), "quality", console)
    for name, found in tables(record, "winners").items():
        _print(found, name, console)
    for name, arm in record.arms.items():
        if (paired := arm.paired) and paired.against != name and paired.psnr is not None:
            same = f", {paired.identical} of {paired.n} identical" if paired.identical else ""
            console.print(f"{name}: PSNR {paired.psnr:.1f} dB against {paired.against}{same}")
    conclude(record, console)


def clocked(record: Record) -> list[str]:
    """The rows of the report's table of times, a line each: at 80 columns a table of them cannot be read."""
    table, lines = timing_table(record), []
    for arm, baseline, rounds, seconds, speed, *ceilings, memory in table.rows:
        over = f", {shown(speed, missing='')} × over {baseline}" if speed else ""
        limits = [f"{shown(c, missing='')} × decode {end}" for c, end in zip(ceilings, ("in", "out"), strict=True) if c]
        limit = f" (MAC ceiling {', '.join(limits)})" if limits else ""
        held = f", {table.columns[-1]}: {shown(memory, missing='')}" if memory else ""
        lines.append(f"{arm}: {shown(seconds, missing='')} s per batch{over}, {rounds} rounds, decode in{limit}{held}")
    return lines


def verdicts(record: Record, console: Console) -> None:
    """The checks and what follows from them."""
    for found in tables(record, "summary").values():
        _print(found, record.study.question or record.id, console, intervals=True)
    for sentence in undecided(record):
        console.print(f"OPEN: {sentence}")
    for reason in record.failures:
        console.print(f"FAILED: {reason}")


def conclude(record: Record, console: Console) -> None:
    """The last word, with how much is left open."""
    left = undecided(record)
    what = f": {len(left)} of {len(record.checks)} checks are not decided by these samples" if left else ""
    nothing = ", and nothing failed" if left and record.verdict == "open" else ""
    weights = f" ({record.weights})" if record.weights else ""
    console.print(f"verdict: {record.verdict.upper()}{what}{nothing}{weights}")


def _print(table: Table, title: str, console: Console, *, intervals: bool = False) -> None:
    """Mostly without intervals, which the report's tables hold."""
    on_screen = OnScreen(title=title, title_justify="left")
    for name, number in zip(table.columns, table.numeric, strict=True):
        on_screen.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        cells = (cell.estimate if isinstance(cell, Range) and not intervals else cell for cell in row)
        on_screen.add_row(*(shown(cell, missing=table.missing) for cell in cells))
    console.print(on_screen)
