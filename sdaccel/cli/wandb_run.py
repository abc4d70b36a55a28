"""A run on Weights & Biases beside the study: open from its start, fed while images are made, closed with the whole record.

It is a mirror. Every number is on disk first, and whatever goes wrong here is told in one line and changes nothing there.
"""

import os
import resource
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import wandb
from rich.console import Console
from wandb.sdk.mailbox import HandleAbandonedError, MailboxClosedError

from sdaccel.cli import objective, wandb_tables
from sdaccel.configuring import plain
from sdaccel.errors import BadInput, reason
from sdaccel.predict.writer import to_uint8
from sdaccel.records.view import Record
from sdaccel.registry import name_of
from sdaccel.samples import atomic_write
from sdaccel.studies import mirroring
from sdaccel.studies.compose import Plan
from sdaccel.studies.content import has_random_weights, study_config
from sdaccel.studies.runner import device_of, run_folder
from sdaccel.studies.schema import Study
from sdaccel.studies.watch import Made

FIRST = 4
"""Samples of every arm that are shown as they come."""
FINISH = 300
"""Seconds that the end of a run waits for uploads, unless WANDB_FINISH_TIMEOUT says otherwise."""
LOST = (wandb.Error, OSError, HandleAbandonedError, MailboxClosedError)
"""What wandb raises when its server, its own process or its disk is gone."""
PROJECT = "sdaccel"
LONG = 60
"""Letters of a name before the hash."""
NOT_TELLING = ("exp=", "output=", "logger", "objective=", "trainer", "hydra.")
"""Options that a name leaves out."""


class Live:
    """The open run. What it is told after it was lost is dropped."""

    def __init__(self, run: Any, plan: Plan, console: Console) -> None:
        self.run = run
        self.plan = plan
        self.console = console
        self.device = device_of(plan.cfg)
        self.failed = True
        """Until the record is there."""

    def made(self, made: Made) -> None:
        """One row per batch."""
        if self.run is None:
            return
        row = {
            "live/arm": made.arm,
            "live/images": made.kept + made.done,
            "live/share": made.done / made.total,
            "live/images_per_s": made.rate,
            "live/memory_bytes": memory_bytes(self.device),
        }
        shown = {row: index for row, index in made.batch.wanted.items() if index < FIRST}
        with self._kept():
            if shown:
                images = to_uint8(made.images[list(shown)])
                captions = [f"{index} {made.batch.conditions[row]}" for row, index in shown.items()]
                pictures = [wandb.Image(image, caption=said) for image, said in zip(images, captions, strict=True)]
                row |= {f"live/pictures/{made.arm}": pictures}
            self.run.log(row)

    def finished(self, record: Record) -> None:
        """Tables, figures, every number, and the files of the run's folder as an artifact."""
        if self.run is None:
            return
        folder = run_folder(self.plan)
        with self._kept():
            last = wandb_tables.everything(wandb, record, samples=folder.parent / "samples", folder=folder)
            if asked := self.plan.cfg.objective:
                last |= {"objective": objective.value(asked, record)}
            self.run.config.update({"provenance": asdict(record.provenance)}, allow_val_change=True)
            self.run.log({key: value for key, value in last.items() if value is not None})
            self.run.log_artifact(wandb_tables.artifact(wandb, record, folder))
            self.failed = record.verdict == "fail"

    def close(self) -> None:
        if self.run is not None:
            with self._kept():
                self.run.finish(exit_code=int(self.failed))
                where = self.run.url if not self.run.offline else f"wandb sync {Path(self.run.dir).parent}"
                self.console.print(f"W&B {self.run.name}: {where}")

    @contextmanager
    def _kept(self) -> Iterator[None]:
        """A run that is lost is lost once."""
        try:
            yield
        except LOST as error:
            files = Path(self.run.dir).parent
            self.run = None
            self.console.print(
                f"W&B lost ({reason(error).rstrip('.')}); nothing else is: `wandb sync {files}` sends what it has."
            )


@contextmanager
def opened(plan: Plan, console: Console) -> Iterator[Live]:
    """The run of this study's folder, the same one at every attempt."""
    folder = run_folder(plan)
    folder.mkdir(parents=True, exist_ok=True)
    live = Live(_init(plan, folder, console), plan, console)
    try:
        yield live
    finally:
        live.close()


def _init(plan: Plan, folder: Path, console: Console) -> Any:
    """Online or not; where the server does not answer, kept on disk as if it had been asked for."""
    asked: dict[str, Any] = {
        **named(plan, folder, os.environ),
        "config": _config(plan),
        "dir": str(folder),
        "resume": "allow",
    }
    quiet: dict[str, Any] = {"console": "off", "silent": True, "finish_timeout_raises": True}
    if "WANDB_FINISH_TIMEOUT" not in os.environ:
        quiet["finish_timeout"] = FINISH
    try:
        wandb.setup(wandb.Settings(silent=True))
        run = wandb.init(**asked, mode=mirroring.mode(plan.cfg.logger), settings=wandb.Settings(**quiet))
    except wandb.Error as error:
        if "Timed out" not in str(error):
            raise BadInput(f"W&B refuses the run ({reason(error)}); run `wandb login`, or leave logger.offline=true.") from None
        console.print(f"W&B does not answer ({reason(error)}); the run is kept on disk.")
        run = wandb.init(**asked, mode="offline", settings=wandb.Settings(**quiet))
    except LOST as error:  # its own process is gone
        console.print(f"W&B lost ({reason(error).rstrip('.')}); the run goes on without it.")
        return None
    run.define_metric("live/*", step_metric="live/images")
    return run


def named(plan: Plan, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What the run is called and where it is filed; what the environment says wins, and under a sweep the sweep."""
    own: dict[str, Any] = {
        "id": ("WANDB_RUN_ID", _id(folder)),
        "project": ("WANDB_PROJECT", PROJECT),
        "group": ("WANDB_RUN_GROUP", plan.cfg.study.name),
        "job_type": ("WANDB_JOB_TYPE", "study"),
        "name": ("WANDB_NAME", readable(plan, folder)),
    }
    names = {key: value for key, (variable, value) in own.items() if variable not in environment}
    if plan.cfg.logger.project:
        names["project"] = plan.cfg.logger.project
    if "WANDB_SWEEP_ID" in environment:
        names = {key: value for key, value in names.items() if key not in ("id", "project")}
    told = [tag.strip() for tag in environment.get("WANDB_TAGS", "").split(",") if tag.strip()]
    return names | {"tags": [*dict.fromkeys([*told, *_tags(plan)])]}


def readable(plan: Plan, folder: Path) -> str:
    """The study, or where it has no name of its own the strategy, with what was chosen on the command line."""
    study, strategy = plan.cfg.study.name, name_of(plan.arms[-1].strategy)
    kept = [o for o in plan.overrides if not o.lstrip("+").startswith(NOT_TELLING)]
    chosen = [o.lstrip("+").removeprefix("strategy.").removeprefix("generator.") for o in kept]
    said = " ".join([strategy if study == Study().name else study, *chosen])
    return f"{said[:LONG]} {folder.name.rpartition('-')[2][:4]}"


def _tags(plan: Plan) -> list[str]:
    parts = [name_of(part) for arm in plan.arms for part in (arm.generator, arm.backend, arm.strategy)]
    random = ["random weights"] if any(map(has_random_weights, plan.arms)) else []
    return [tag[:64] for tag in (*parts, device_of(plan.cfg).type, *random)]


def _id(folder: Path) -> str:
    """Drawn once for the folder, so that its next attempt goes on in the same run and another machine's does not."""
    path = folder / "wandb" / "id"
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        atomic_write(path, f"{folder.name[-48:]}-{secrets.token_hex(3)}".encode())
    return path.read_text()


def _config(plan: Plan) -> dict[str, Any]:
    """What decides the study, and how it was asked for; of its conditions only how many."""
    config = study_config(plan)
    data = config["data"] | {"conditions": len(plan.conditions)}
    return config | {"data": data, "trainer": plain(plan.cfg.trainer), "command": plan.overrides}


def memory_bytes(device: torch.device) -> int:
    """Most that this process has held so far: of the GPU, or of the machine."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
