"""`sdaccel compare RUN...`: one page of several runs, by the paths of their folders or by their ids."""

from collections.abc import Sequence
from pathlib import Path

from sdaccel.cli import Parser, told
from sdaccel.records import read
from sdaccel.records.promote import find
from sdaccel.reporting.page import of_runs


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog="sdaccel compare", description=__doc__)
    parser.add_argument("runs", nargs="+", help="a run's folder or record.json, or its id (its beginning is enough)")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where runs are looked for and the page is written")
    args = parser.parse_args(argv)
    return told(lambda: of(args.runs, args.output))


def of(runs: Sequence[str], output: Path) -> int:
    paths = [_record(run, output) for run in runs]
    print(f"page {of_runs.write({path.parent: read.load(path) for path in paths}, output)}")
    return 0


def _record(run: str, output: Path) -> Path:
    beside = Path(run) / "record.json"
    return beside if len(run) < 4096 and beside.is_file() else find(run, [output])
