"""`sdaccel promote RECORD...`: copy finished records to reports/, and what they recommend to conf/, to be committed."""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sdaccel.cli import CONF, REPORTS, Parser, told
from sdaccel.records import calibration, read
from sdaccel.records.promote import find, promote
from sdaccel.records.view import Record
from sdaccel.reporting import figures, tables
from sdaccel.reporting.sample_sheet import in_run


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog="sdaccel promote", description=__doc__)
    parser.add_argument("records", nargs="+", help="path of a record.json, or the id of a run (its beginning is enough)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the `output` of the run")
    parser.add_argument("--reports", type=Path, default=REPORTS)
    parser.add_argument("--conf", type=Path, default=CONF, help="where the calibration goes that a study recommends")
    return told(lambda: _promote(parser.parse_args(argv)))


def _promote(args: argparse.Namespace) -> int:
    for name in args.records:
        path, samples = find(name, [args.runs, args.runs / "bench"]), args.runs / "samples"
        record = read.load(path)
        _drawable(record, samples)
        print(promote(path, samples=samples, reports=args.reports))
        if (copied := calibration.promote(record, path.parent, args.conf)) is not None:
            print(copied)
    return 0


def _drawable(record: Record, samples: Path) -> None:
    """Raise BadInput for what no report could be made of."""
    with tempfile.TemporaryDirectory() as folder:
        figures.draw(record, Path(folder), find=in_run(record, samples))
        tables.write(record, Path(folder))
