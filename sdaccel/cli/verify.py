"""`sdaccel verify ID`: run a committed record's command again on two samples; their hashes must be the record's.

Of a benchmark nothing is run: its clocks would say something else. Its command must still mean the configuration and the work
that the record says. `verify-record ID` is the same.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sdaccel.cli import CONF, REPORTS, Parser, told
from sdaccel.errors import at_least
from sdaccel.records import read
from sdaccel.records.promote import find

SAMPLES = 2


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog="sdaccel verify", description=__doc__)
    parser.add_argument("record", help="path or id of a record in reports/results or runs")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    return told(lambda: _verify(parser.parse_args(argv)))


def _verify(args: argparse.Namespace) -> int:
    from sdaccel.benches import runner
    from sdaccel.studies import rerun

    at_least(1, args, "samples", where="verify-record")
    record = read.load(find(args.record, [REPORTS / "results", Path("runs"), Path("runs", "bench")]))
    if record.bench:
        differences = runner.verify(record, conf=CONF)
        what = "configuration and work; times are not measured anew"
    else:
        quiet = Console(highlight=False, markup=False, soft_wrap=True)
        differences = rerun.verify(record, samples=args.samples, conf=CONF, console=quiet)
        what = f"{min(args.samples, len(record.conditions))} samples of {len(record.arms)} arms"
    for line in differences:
        print(line)
    print(f"{record.id}: {'MISMATCH' if differences else 'verified'} on {what}")
    return 1 if differences else 0
