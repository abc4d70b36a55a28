"""`experiments/report.py`: figures, tables and index.html of the committed records."""

import argparse
import sys
from pathlib import Path

from sdaccel.cli import REPORTS, told
from sdaccel.reporting.build import build


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="the folder that holds results/")
    return told(lambda: _report(parser.parse_args().reports))


def _report(reports: Path) -> int:
    written, skipped = build(reports)
    print(f"{len(written)} files written; open {written[-1]}")
    for sentence in skipped:
        print(sentence, file=sys.stderr)
    return 1 if skipped else 0
