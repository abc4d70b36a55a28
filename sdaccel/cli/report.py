"""`experiments/report.py`: figures, tables and index.html of the committed records."""

from pathlib import Path

from sdaccel.cli import REPORTS, Parser, told
from sdaccel.errors import BadInput
from sdaccel.reporting.build import build


def main() -> int:
    parser = Parser(description=__doc__)
    parser.add_argument("--reports", type=Path, default=REPORTS, help="the folder that holds results/")
    return told(lambda: _report(parser.parse_args().reports))


def _report(reports: Path) -> int:
    if not (reports / "results").is_dir():
        raise BadInput(f"--reports={reports} has no folder results/ of promoted records; give another, or promote a record.")
    written = build(reports)
    print(f"{len(written)} files written; open {written[-1]}")
    return 0
