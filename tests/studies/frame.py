"""Small real studies for the tests of the frame: random FLUX at a few steps, in this process or in a forked child."""

import os
import signal
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from sdaccel.records.view import Record
from sdaccel.studies import compose, rerun, runner
from tests.conftest import CONF

SMALL = ("generator=flux_tiny", "generator.num_steps=6", "generator.height=16", "generator.width=16", "study.timing.repeats=0")

MINI = [f"study.arms.mini{steps}_{arm}" for steps in ("", "24") for arm in "ABCD"]
INTERVAL1 = (
    "+exp=interval1_equivalence",
    *(f"{arm}.generator=flux_tiny" for arm in MINI),
    *(f"study.arms.{part}_{arm}.strategy=[taylor,delta]" for part in ("all", "mini") for arm in "BD"),
    *(f"study.arms.{part}_{arm}.first_enhance=[3]" for part in ("all", "above", "held") for arm in "BD"),
    *(f"study.arms.above_{arm}.strategy=[{strategy}]" for arm, strategy in (("B", "hicache_analytic"), ("D", "newton"))),
)
"""The headline study without its trained model, which takes a minute, and with few of its audited arms."""


def plan(*overrides: str, output: Path) -> compose.Plan:
    """A study of FLUX at six steps, or of the generator that the overrides choose."""
    small = () if any(o.startswith("generator=") for o in overrides) else SMALL
    return compose.plan([*small, f"output={output}", *overrides], conf=CONF)


def run(*overrides: str, output: Path) -> Record:
    record = runner.run(plan(*overrides, output=output), console=Console(quiet=True))
    assert record is not None
    return record


def changed(record: Record, arm: str, **entries: Any) -> Record:
    """The record with other entries in one of its arms."""
    return replace(record, arms={**record.arms, arm: replace(record.arms[arm], **entries)})


def verified(record: Record, *which: int) -> list[str]:
    """What differs when its command is run again on these samples, or on all."""
    wanted = rerun.chosen(record, samples=1, which=which, everything=not which)
    with tempfile.TemporaryDirectory() as output:
        found = rerun.remade(record, rerun.planned(record, output=Path(output), conf=CONF), wanted, Console(quiet=True))
    assert not found.unseen
    return list(found.differs)


def run_argv(argv: list[str]) -> int:
    """The command line's exit code, in this process."""
    from sdaccel.cli.run import main

    return main(argv, conf=CONF)


def started(body: Callable[[], object]) -> int:
    """The id of a forked child that runs `body`; its exit code is 0 for a clean end."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            body()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    return pid


def forked(body: Callable[[], None], *, kill_after: float | None = None) -> int:
    """Run `body` in a forked child; SIGKILL it after a while if asked to. The child's wait status, 0 for a clean end."""
    pid = started(body)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]
