"""From reports/results to everything else in reports/: the same records give the same bytes."""

from pathlib import Path
from typing import NamedTuple

from sdaccel.errors import BadInput
from sdaccel.records.read import load
from sdaccel.records.view import Record
from sdaccel.reporting import gallery, models, readme, tables
from sdaccel.reporting.figures import draw

OWNED = {"figures": (".pdf", ".png"), "tables": (".csv", ".tex")}
"""What a report writes under figures/<study>/<id>/ and tables/<study>/<id>/, and so may remove there."""


def read(reports: Path) -> list[Record]:
    """All promoted records, by study and id."""
    return [_read(path) for path in _paths(reports)]


def _paths(reports: Path) -> list[Path]:
    return sorted(reports.glob("results/*/*.json"))


def _read(path: Path) -> Record:
    """One that is damaged or misplaced is refused."""
    record = load(path)
    if (path.parent.name, path.stem) != (record.study.name, record.id):
        raise BadInput(f"record {path} is {record.id} of study {record.study.name}; promote puts it where it belongs.")
    return record


class Built(NamedTuple):
    written: list[Path]
    skipped: list[str]
    """A sentence for what could not be read, drawn or told; what earlier reports made of it stays."""


def build(reports: Path) -> Built:
    """Everything of all records and trained models; what an earlier report left and this one does not write is removed."""
    made, skipped = [], []
    for path in _paths(reports):
        place = Path(path.parent.name) / path.stem
        try:
            record = _read(path)
            figures = draw(record, reports / "figures" / place, find=gallery.finder(reports))
            made.append((record, figures + tables.write(record, reports / "tables" / place)))
        except BadInput as error:
            skipped.append(f"{path} is left out: {error}")
    if not skipped:
        _remove_stale(reports, {path for _, paths in made for path in paths})
    trained = models.read(reports)
    curves = models.draw(trained, reports)
    index = reports / "index.html"
    index.write_bytes(gallery.page(made, reports=reports, models=trained).encode())
    try:
        told = readme.refresh(reports, [record for record, _ in made])
    except BadInput as error:
        told, skipped = [], [*skipped, str(error)]
    return Built([*(path for _, paths in made for path in paths), *curves, *told, index], skipped)


def _remove_stale(reports: Path, written: set[Path]) -> None:
    for folder, suffixes in OWNED.items():
        for path in sorted(reports.glob(f"{folder}/*/*/*")):
            if path.suffix in suffixes and path not in written:
                path.unlink()
        for place in sorted([*reports.glob(f"{folder}/*/*"), *reports.glob(f"{folder}/*")], reverse=True):
            if place.is_dir() and not any(place.iterdir()):
                place.rmdir()
