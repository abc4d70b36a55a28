"""`experiments/promote.py RECORD...`: copy finished records to reports/, to be committed."""

import argparse
from pathlib import Path

from sdaccel.cli import REPORTS, Parser, told
from sdaccel.records.promote import find, promote


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("records", nargs="+", help="path of a record.json, or the id of a run (its beginning is enough)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the `output` of the run")
    parser.add_argument("--reports", type=Path, default=REPORTS)
    return told(lambda: _promote(parser.parse_args()))


def _promote(args: argparse.Namespace) -> int:
    for name in args.records:
        print(promote(find(name, [args.runs, args.runs / "bench"]), samples=args.runs / "samples", reports=args.reports))
    return 0
