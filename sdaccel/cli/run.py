"""The command line of a study: check everything in one pass, run, answer by exit code.

One run needs nothing of Hydra's main and stays out of it, so Lightning can relaunch the same command for every GPU. A multirun
goes through Hydra's sweeper and launcher, each job as this same command in a process of its own.
"""

import errno
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from rich.console import Console

from sdaccel.cli import CONF, HELP
from sdaccel.configuring import told_in_one_line
from sdaccel.errors import BadInput
from sdaccel.reporting import figures
from sdaccel.studies import compose
from sdaccel.studies.outline import outline

USAGE = "usage: run.py [+exp=NAME] [group=option] [key=value ...] [--dry-run | -m | --cfg job]"

FLAGS = {"--dry-run", "-m", "--multirun"}
HYDRAS_OWN = {"--cfg", "-c"}


def main(conf: Path = CONF) -> int:
    """0: no check fails. 1: one does, or a figure could not be drawn of a finished record. 2: bad input, nothing was built."""
    flags = [arg for arg in sys.argv[1:] if arg.startswith("-")]
    overrides = [arg for arg in sys.argv[1:] if not arg.startswith("-")]
    console = Console(highlight=False, markup=False, soft_wrap=True)
    try:
        compose.register()
        names = {flag.split("=")[0] for flag in flags}
        if unknown := names - FLAGS - HELP - HYDRAS_OWN:
            raise BadInput(f"{min(unknown)} is not a flag of this command; {USAGE}.")
        if names & HELP:
            console.print(USAGE)
            for group, options in compose.choices(overrides, conf=conf).items():
                console.print(f"{group}: {', '.join(options)}")
            return 0
        if names & HYDRAS_OWN:
            _hydra_main(conf, lambda cfg: None)
            return 0
        if {"-m", "--multirun"} & names:
            return _multirun(overrides, conf, console if "--dry-run" in flags else None)
        plan = checked(overrides, conf)
        if unproven := [arm.name for arm in plan.arms if arm.experimental]:
            console.print(f"experimental, the gate of its calibration has not passed: {', '.join(unproven)}")
        if "--dry-run" in flags:
            from sdaccel.studies.estimate import describe

            describe(plan, console)
            return 0
        return _run(plan, console)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(
            f"No space left for {error.filename}; finished samples are kept: free space, run again.",
            file=sys.stderr,
        )
        return 2


def checked(overrides: Sequence[str], conf: Path) -> compose.Plan:
    """The study and its figures."""
    plan = compose.plan(overrides, conf=conf)
    if plan.cfg.study.figures:
        figures.validate(plan.cfg.study.figures, outline(plan))
    return plan


def _run(plan: compose.Plan, console: Console) -> int:
    from sdaccel.cli import outcome
    from sdaccel.studies import runner

    record = runner.run(plan, console=console)
    if record is None:
        return 0
    drawn = outcome.finish(record, plan, runner.run_folder(plan), console)
    return 0 if drawn and record.verdict != "fail" else 1


def _multirun(overrides: Sequence[str], conf: Path, describes: Console | None) -> int:
    """Every job is checked before the first one starts; with a console, described instead of run."""
    with told_in_one_line():
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        jobs = [job for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None) for job in batch]
    plans = [checked(job, conf) for job in jobs]
    if describes:
        from sdaccel.studies.estimate import describe

        for plan in plans:
            describe(plan, describes)
        return 0

    def task(cfg: DictConfig) -> None:
        of = HydraConfig.get().overrides
        search = [o for o in of.hydra if o.startswith("hydra.searchpath")]
        done = subprocess.run([sys.executable, sys.argv[0], *of.task, *search], check=False)
        if done.returncode:
            raise RuntimeError(f"the study ended with exit code {done.returncode}: {' '.join(of.task)}")

    _hydra_main(conf, task)
    return 0


def _hydra_main(conf: Path, task: Any) -> None:
    hydra.main(version_base="1.3", config_path=str(conf), config_name="config")(task)()
