"""`sdaccel bench +bench=NAME`: measure, write the record, show a line per case and arm."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sdaccel.benches import runner
from sdaccel.cli import CONF, told, wants_help
from sdaccel.records import read, store
from sdaccel.records.timing import Benched
from sdaccel.records.view import Record
from sdaccel.reporting.bench import unit
from sdaccel.reporting.cells import faster, shown, spanned
from sdaccel.reporting.timing import INTERVAL

MIB = 2**20
FURTHER = ("floor (ms)", "of floor", "memory (MiB)", "J", "phases (ms)")


USAGE = "usage: sdaccel bench +bench=NAME [group=option] [key=value ...]"


def main(argv: Sequence[str], *, conf: Path = CONF) -> int:
    return told(lambda: _bench(argv, conf))


def _bench(overrides: Sequence[str], conf: Path) -> int:
    if wants_help(overrides, USAGE, group="bench", conf=conf):
        return 0
    plan = runner.plan(overrides, conf=conf)
    made = runner.run(plan)
    path = plan.output / made["id"] / "record.json"
    store.save(made, path)
    show(read.load(path), Console(highlight=False, markup=False, width=160))
    print(f"record {path}")
    return 0


def show(record: Record, console: Console) -> None:
    """One line per case and arm, then the work of the first arm's floor."""
    table = Table("case", "arm", "rounds", f"{unit(record)} [p10, p90]", f"speed-up (×) {INTERVAL}", *FURTHER)
    for case, found in record.timing.cases.items():
        for name, arm in found.arms.items():
            table.add_row(case, name + _noted(arm), *_cells(arm))
        work = record.content["work"][case]
        table.add_row(case, "least work", "", f"{work['bytes'] / MIB:.1f} MiB, {2 * work['macs'] / 1e9:.2f} GFLOP")
    for case, failed in record.timing.failed.items():
        for name, why in failed.items():
            table.add_row(case, name, "", f"failed: {why}")
    console.print(table)


def _noted(arm: Benched) -> str:
    same = "" if arm.identical is None else f" ({arm.identical} of {arm.images} images identical)"
    return same + (f" ({arm.recompiled} recompiled)" if arm.recompiled else "")


def _cells(arm: Benched) -> list[str]:
    return [
        str(arm.seconds.n),
        shown(spanned(arm.seconds, times=1e3), missing=""),
        shown(faster(arm.speedup), missing=""),
        shown(arm.floor_seconds and 1e3 * arm.floor_seconds, missing=""),
        "" if arm.of_floor is None else f"{100 * arm.of_floor:.0f} %",
        "" if arm.memory_bytes is None else f"{arm.memory_bytes / MIB:.0f}",
        "" if arm.joules is None else f"{arm.joules:.2f}",
        ", ".join(f"{phase} {1e3 * value:.1f}" for phase, value in arm.phases.items()),
    ]
