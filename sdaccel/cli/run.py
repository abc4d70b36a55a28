"""The command line of a study: check everything in one pass, run, answer by exit code.

One run needs nothing of Hydra's main and stays out of it, so the same command can be started for every GPU. A multirun
goes through Hydra's sweeper and launcher, each job as this same command in a process of its own.
"""

import errno
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig
from rich.console import Console

from sdaccel import processes
from sdaccel.cli import CONF, HELP, WIDE, objective
from sdaccel.configuring import told_in_one_line
from sdaccel.errors import BadInput
from sdaccel.processes import RUN, SAFE
from sdaccel.reporting import figures
from sdaccel.studies import compose
from sdaccel.studies.content import has_random_weights
from sdaccel.studies.mirroring import mode
from sdaccel.studies.outline import outline

if TYPE_CHECKING:
    from sdaccel.cli.wandb_run import Live

USAGE = "usage: sdaccel run [+exp=NAME] [group=option] [key=value ...] [--dry-run | -m | --cfg job]"

FLAGS = {"--dry-run", "-m", "--multirun"}
HYDRAS_OWN = {"--cfg", "-c"}


def main(argv: Sequence[str], *, conf: Path = CONF, others: processes.Others | None = None) -> int:
    """0: no check fails; the last line says PASS, or OPEN where samples do not tell. 1: one does, or a figure of a finished
    record could not be drawn. 2: bad input, nothing was built."""
    flags = [arg for arg in argv if arg.startswith("-")]
    overrides = [arg for arg in argv if not arg.startswith("-")]
    console = Console(highlight=False, markup=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
    try:
        compose.register()
        names = {flag.split("=")[0] for flag in flags}
        if unknown := names - FLAGS - HELP - HYDRAS_OWN:
            raise BadInput(f"{min(unknown)} is not a flag of this command; {USAGE}.")
        if names & HELP:
            console.print(USAGE)
            for group, options in compose.offered(overrides, conf=conf).items():
                console.print(f"{group}: {', '.join(options)}")
            return 0
        if names & HYDRAS_OWN:
            _hydra_main(argv, conf, lambda cfg: None)
            return 0
        if {"-m", "--multirun"} & names:
            return _multirun(argv, overrides, conf, console if "--dry-run" in flags else None)
        plan = checked(overrides, conf)
        if processes.rank() == 0:
            for note in notes(plan):
                console.print(note)
        if "--dry-run" in flags:
            _described(plan, console)
            return 0
        return _run(plan, console, others)
    except BadInput as error:
        if processes.rank() == 0:  # the others meet the same mistake
            print(error, file=sys.stderr)
        return processes.BAD_INPUT
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
    if plan.cfg.objective:
        objective.validate(plan.cfg.objective, outline(plan), timed=plan.cfg.study.timing.repeats > 0)
    return plan


def notes(plan: compose.Plan) -> list[str]:
    """What a reader must know before the numbers."""
    random = [arm.name for arm in plan.arms if has_random_weights(arm)]
    unproven = [arm.name for arm in plan.arms if arm.experimental]
    found = [*plan.notes]
    if random:
        some = "" if len(random) == len(plan.arms) else f" in {len(random)} of {len(plan.arms)} arms"
        found.append(f"random weights{some}: good for laws and speed, the pictures mean nothing")
    if unproven:
        found.append(f"experimental, no calibration that has passed its gate has these settings: {', '.join(unproven)}")
    return found


def _described(plan: compose.Plan, console: Console) -> None:
    from sdaccel.records.provenance import git_state
    from sdaccel.studies import calibrate
    from sdaccel.studies.estimate import check_fits, describe

    git_state()  # refused here as by a run
    plan = calibrate.foreseen(plan)
    if first := calibrate.measuring(plan):
        more = first.conditions[len(plan.conditions) :]
        again = "" if {*more} - {*plan.conditions} else ", with other noise for the same conditions"
        console.print(
            f"{len(more)} samples behind these are measured first{again}, and decide the arms and the name of the study"
        )
    describe(plan, console)
    check_fits(plan)


def _run(plan: compose.Plan, console: Console, others: processes.Others | None = None) -> int:
    from sdaccel.cli import outcome
    from sdaccel.records.provenance import git_state
    from sdaccel.studies import calibrate, runner
    from sdaccel.studies.estimate import check_fits

    git_state()  # refused before anything is made
    check_fits(plan)
    plan = calibrate.calibrated(plan, console=console)
    with _mirrored(plan, console) as live:
        record = runner.run(plan, console=console, others=others, watch=live.made if live else None)
        if record is None:
            return 0
        drawn = outcome.finish(record, plan, runner.run_folder(plan), console)
        if live:
            live.finished(record)
    return 0 if drawn and record.verdict != "fail" else 1


def _mirrored(plan: compose.Plan, console: Console) -> "AbstractContextManager[Live | None]":
    """W&B's run, where one was asked for; several processes have one together."""
    if mode(plan.cfg.logger) == "disabled" or processes.rank():
        return nullcontext()
    from sdaccel.cli.wandb_run import opened

    return opened(plan, console)


def _multirun(argv: Sequence[str], overrides: Sequence[str], conf: Path, describes: Console | None) -> int:
    """Every job is checked before the first one starts; with a console, described instead of run."""
    with told_in_one_line():
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        jobs = [job for batch in BasicSweeper.split_arguments(parsed, max_batch_size=None) for job in batch]
    plans = [checked(job, conf) for job in jobs]
    if describes:
        for job, plan in zip(jobs, plans, strict=True):
            describes.print(f"job {' '.join(job)}")
            _described(plan, describes)
        return 0

    def task(cfg: DictConfig) -> None:
        of = HydraConfig.get().overrides
        search = [o for o in of.hydra if o.startswith("hydra.searchpath")]
        print(f"job {' '.join(of.task)}", flush=True)
        done = subprocess.run([*RUN, *of.task, *search], env=os.environ | SAFE, check=False)
        if done.returncode:
            raise RuntimeError(f"the study ended with exit code {done.returncode}: {' '.join(of.task)}")

    _hydra_main(argv, conf, task)
    _compare(plans)
    return 0


def _compare(plans: Sequence[compose.Plan]) -> None:
    """A page of all runs that the jobs made, beside their own pages."""
    from sdaccel.cli.compare import of
    from sdaccel.studies import calibrate, runner

    folders = list(dict.fromkeys(str(runner.run_folder(calibrate.foreseen(plan))) for plan in plans))
    if len(folders) > 1:
        of(folders, Path(plans[0].cfg.output))


def _hydra_main(argv: Sequence[str], conf: Path, task: Any) -> None:
    kept, sys.argv = sys.argv, ["sdaccel run", *argv]  # the only arguments that Hydra reads
    try:
        hydra.main(version_base="1.3", config_path=str(conf), config_name="config")(task)()
    finally:
        sys.argv = kept
