"""`sdaccel verify ID`: is a record true? Hashes, figures, verdicts, some samples made anew, its commit; a line for each.

    hashes      every part as it was written
    figures     means and intervals once more from the values of single samples
    verdicts    once more from the figures
    samples     `--samples N` (2), drawn anew every time, `--which 3,17` or `--all` made and measured anew, in whole batches
    code        the commit that has it, by its fingerprint
    checks      those of the study's YAML that are others today

Exit 0: all agrees. 1: something is not as the record says. 2: what can be checked here agrees, and samples could not be made.
Of a benchmark nothing is run: its command must still mean the configuration and the work. `verify-record ID` is the same.
"""

import argparse
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from sdaccel.cli import CONF, REPORTS, Parser, told
from sdaccel.errors import BadInput, at_least
from sdaccel.records import figures, read, store
from sdaccel.records.findings import Findings
from sdaccel.records.promote import find
from sdaccel.records.view import Record

SAMPLES = 2
FEW = 12
"""Differences of a part that are shown."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(prog="sdaccel verify", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", help="path or id of a record in reports/results or runs")
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--samples", type=int, default=SAMPLES, help="so many, drawn anew every time")
    some.add_argument("--which", type=_indices, help="these, such as 3,17")
    some.add_argument("--all", action="store_true", help="all, and with them what belongs to whole arms")
    return told(lambda: _verify(parser.parse_args(argv)))


def _indices(text: str) -> list[int]:
    return sorted({int(part) for part in text.split(",")})


def _verify(args: argparse.Namespace) -> int:
    at_least(1, args, "samples", where="verify-record")
    path = find(args.record, [REPORTS / "results", Path("runs"), Path("runs", "bench")])
    try:
        record = read.load(path)
        found = dict(_bench(record) if record.bench else _study(record, args))
    except store.Changed as error:
        print(f"{error}\n{path.stem}: MISMATCH")
        return 1
    if any(part.differs for part in found.values()):
        print(f"{record.id}: MISMATCH in {', '.join(name for name, part in found.items() if part.differs)}")
        return 1
    if found["samples"].unseen:
        print(f"{record.id}: not verified: what can be checked here agrees, and not all arms were made anew")
        return 2
    print(f"{record.id}: verified on {found['samples'].of}")
    return 0


def _bench(record: Record) -> Iterator[tuple[str, Findings]]:
    from sdaccel.benches import runner

    yield _shown("hashes", _hashes(record))
    found = Findings("configuration and work; times are not measured anew", runner.verify(record, conf=CONF))
    yield _shown("samples", found)


def _study(record: Record, args: argparse.Namespace) -> Iterator[tuple[str, Findings]]:
    """Quick looks first."""
    from sdaccel.studies import folders, rejudged, rerun, since

    if record.provenance.command[:1] == [folders.COMMAND]:
        again = shlex.join(["python", *record.provenance.command])
        raise BadInput(f"record {record.id} is of pictures that nothing here made; score them once more: {again}")

    yield _shown("hashes", _hashes(record))
    yield _shown("figures", figures.recomputed(record))
    yield _shown("verdicts", rejudged.rejudged(record))
    yield _shown("timing", figures.clocked(record))
    yield _shown("checks", since.changed(record, CONF))
    wanted = rerun.chosen(record, samples=args.samples, which=args.which, everything=args.all)
    with tempfile.TemporaryDirectory() as output:
        try:
            plan = rerun.planned(record, output=Path(output), conf=CONF)
        except BadInput as error:
            yield _shown("code", rerun.code(record, None))
            yield _shown("samples", rerun.none(record, f"its command means nothing today ({error})"))
            return
        yield _shown("code", rerun.code(record, plan))
        yield _shown("samples", rerun.remade(record, plan, wanted, Console(stderr=True, markup=False, soft_wrap=True)))


def _hashes(record: Record) -> Findings:
    """Those that a record has were compared when it was loaded."""
    if "format" in record.content:
        return Findings("every part as it was written")
    why = "timing and provenance carry no hash in a record of the first format: an edit of these is not seen"
    return Findings("content as it was written", unseen=[why])


def _shown(name: str, found: Findings) -> tuple[str, Findings]:
    print(f"{name}: {found.of}{' -- DIFFERS' if found.differs else ''}", flush=True)
    for line in found.differs[:FEW]:
        print(f"  differs: {line}")
    if len(found.differs) > FEW:
        print(f"  differs: {len(found.differs) - FEW} more")
    for line in found.unseen:
        print(f"  not checked: {line}")
    for line in found.notes:
        print(f"  {line}")
    return name, found
