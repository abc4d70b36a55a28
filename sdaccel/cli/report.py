"""`sdaccel report`: figures, tables, index.html and the README's results of the committed records."""

import sys
from collections.abc import Sequence
from pathlib import Path

from sdaccel.cli import REPORTS, Parser, told
from sdaccel.errors import BadInput
from sdaccel.reporting.build import build


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog="sdaccel report", description=__doc__)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="the folder that holds results/")
    return told(lambda: _report(parser.parse_args(argv).reports))


def _report(reports: Path) -> int:
    if not any(reports.glob("results/*/*.json")):
        raise BadInput(f"{reports} holds no record to report; copy one there with sdaccel promote, or give --reports FOLDER.")
    written, skipped = build(reports)
    print(f"{len(written)} files written; open {written[-1]}")
    for sentence in skipped:
        print(sentence, file=sys.stderr)
    return 1 if skipped else 0
