"""One page for several runs: their arms in one table, their pictures in one row, and a way to the page of each."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sdaccel.errors import BadInput
from sdaccel.records.merged import Merged, merged
from sdaccel.records.view import Record
from sdaccel.reporting import figures
from sdaccel.reporting.cells import Cell, Table
from sdaccel.reporting.page.caveats import of_few, of_many, of_weights
from sdaccel.reporting.page.content import Section
from sdaccel.reporting.page.html import html
from sdaccel.reporting.page.of_record import NAME, page_of
from sdaccel.reporting.page.pictures import pictures
from sdaccel.reporting.readme import device
from sdaccel.reporting.registry import Find
from sdaccel.samples import Samples, atomic_write, canonical, digest


def write(runs: Mapping[Path, Record], output: Path) -> Path:
    """compare-<studies>-<hash>/index.html of these records by the folders that they lie in."""
    records = list(runs.values())
    if len({record.id for record in records}) < len(records):
        raise BadInput("a run is named twice; name each run once.")
    studies = "-".join(dict.fromkeys(record.id.rsplit("-", 2)[0] for record in records))
    key = digest(canonical([record.content_hash for record in records]))[:12]
    name = f"compare-{studies if len(studies) < LONG else len(records)}-{key}"
    question = f"How do {len(records)} runs of {studies} compare?"
    whole = merged(records, name=name, question=question, command=["experiments/compare.py", *(path.name for path in runs)])
    folder = output / name
    folder.mkdir(parents=True, exist_ok=True)
    find = _finder(whole, runs)
    drawn = figures.draw(whole.record, folder, find=find)
    page = page_of(whole.record, shown=pictures(whole.record, find, folder), figures=drawn)
    caveats = [*whole.caveats, *of_weights(whole.record), *of_few(whole.record), *of_many(whole.record)]
    told = replace(page, caveats=caveats, sections=[*page.sections[:1], _runs(whole, runs, folder), *page.sections[1:]])
    atomic_write(folder / NAME, html(told).encode())
    return folder / NAME


LONG = 60
"""Letters of the names of studies that a folder is named by."""


def _finder(whole: Merged, runs: Mapping[Path, Record]) -> Find:
    """Samples lie beside the folder of the run that has them."""
    homes = {key: path.parent / "samples" for path, record in runs.items() for key in record.folders.values()}
    return lambda arm, sample: Samples(homes[key := whole.record.folders[arm]] / key).image(sample.index)


def _runs(whole: Merged, runs: Mapping[Path, Record], folder: Path) -> Section:
    rows: list[tuple[Cell, ...]] = [
        (label, record.id, len(record.arms), len(record.conditions), device(record), record.verdict)
        for label, record in zip(whole.labels, runs.values(), strict=True)
    ]
    links = [Path(os.path.relpath(path / NAME, folder)).as_posix() for path in runs]
    return Section("Runs", Table(("run", "record", "arms", "N", "device", "verdict"), rows), links=links)
