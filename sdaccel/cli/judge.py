"""`sdaccel judge RECORD...`: what the checks that a study has today say of records made earlier; nothing is run.

Writes RECORD.judged.yaml beside each, which reports show beside the record's own verdicts. Exit 1 where a check fails.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sdaccel.cli import CONF, REPORTS, WIDE, Parser, told
from sdaccel.records import judged, read
from sdaccel.records.promote import find
from sdaccel.studies import judging


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog="sdaccel judge", description=__doc__)
    parser.add_argument("records", nargs="+", help="path or id of a record in reports/results or runs")
    parser.add_argument("--reports", type=Path, default=REPORTS)
    return told(lambda: _judge(parser.parse_args(argv)))


def _judge(args: argparse.Namespace) -> int:
    from sdaccel.cli.outcome import conclude, verdicts

    console, failed = Console(highlight=False, markup=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE), False
    for name in args.records:
        path = find(name, [args.reports / "results", Path("runs")])
        record = read.load(path)
        made = judging.again(record, conf=CONF)
        anew = judged.judged(record, made)
        verdicts(anew, console)
        for sentence in made.left_out:
            console.print(f"left out: {sentence}")
        console.print(f"judged again {judged.write(made, path)}")
        conclude(anew, console)
        failed |= made.verdict == "fail"
    return int(failed)
