"""What several processes buy: `python experiments/bench.py +bench=scale_out`.

A case is a study, an arm so many processes of it, by the command that a user types, with nothing on disk before. Its time is
that of an image from the moment that every process has finished its first batch until the last image is on disk: imports,
models, compilers and graphs are paid once per command, and stand among the phases. Those are means over the processes.
"""

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any, ClassVar

import numpy as np
import torch

from sdaccel.benches.base import Cases, listed
from sdaccel.errors import BadInput, at_least
from sdaccel.measure.speedup import speedup
from sdaccel.measure.timing import summary
from sdaccel.processes import RUN, SAFE
from sdaccel.records import read, spent
from sdaccel.records.spent import Spent
from sdaccel.registry import configurable


@dataclass(frozen=True)
class Measured:
    """One command."""

    seconds: float
    """Of an image."""
    phases: dict[str, float]
    """Seconds of the whole command."""
    images: dict[str, list[str]]
    """Their hashes by arm."""


@configurable(group="bench", name="scale_out")
@dataclass(frozen=True, kw_only=True)
class ScaleOut:
    """The benchmark; each of its studies chooses a generator of its own."""

    studies: dict[str, str] = field(default_factory=dict)
    """Case -> options of `sdaccel run`, as a shell takes them."""
    processes: list[int] = field(default_factory=lambda: [1, 2])
    """How many at once, on a GPU no more than there are; the first number is what the others are compared with."""
    repeats: int = 1
    folder: str | None = None
    """Where the commands write while they run, in place of the system's temporary folder: all processes share that disk."""

    question: ClassVar[str] = "What do several processes of one study buy, and where do they lose time?"
    figures: ClassVar[Sequence[str]] = ()

    def check(self, generator: Any) -> None:
        listed(self, "processes")
        at_least(1, self, "repeats", where="bench")
        if self.folder is not None and not Path(self.folder).is_dir():
            raise BadInput(f"bench.folder={self.folder} is no folder; make it, or leave it out.")
        if not self.studies:
            raise BadInput("bench.studies names no study; write bench.studies.NAME='generator=var_tiny data.per_condition=8'.")

    def work(self, generator: Any) -> Cases:
        """No floor is known of a command."""
        return {case: [] for case in self.studies}

    def run(self, generator: Any, device: torch.device) -> dict[str, Any]:
        most = torch.cuda.device_count() if device.type == "cuda" else max(self.processes)
        counts = [count for count in self.processes if count <= most]
        if not counts:
            raise BadInput(f"bench.processes={self.processes} are more than the {most} GPUs here; add a smaller number.")
        return {"cases": {case: self._case(shlex.split(options), counts, device) for case, options in self.studies.items()}}

    def _case(self, options: list[str], counts: list[int], device: torch.device) -> dict[str, Any]:
        """Processes take turns, in the other direction every round."""
        order = [list(range(len(counts)))[:: 1 if n % 2 == 0 else -1] for n in range(self.repeats)]
        found: dict[int, list[Measured]] = {count: [] for count in counts}
        for turns in order:
            for turn in turns:
                found[counts[turn]].append(_command([*options, *_trainer(counts[turn], device)], folder=self.folder))
        first = found[counts[0]]
        return {"order": order, "arms": {_name(count): _arm(count, found[count], first) for count in counts}}


def _name(count: int) -> str:
    return f"{count} process{'es' if count > 1 else ''}"


def _trainer(count: int, device: torch.device) -> list[str]:
    accelerator = "gpu" if device.type == "cuda" else "cpu"
    return [f"trainer.processes={count}", f"trainer.accelerator={accelerator}", "study.timing.repeats=0"]


def _arm(count: int, found: Sequence[Measured], first: Sequence[Measured]) -> dict[str, Any]:
    rounds, others = ([each.seconds for each in some] for some in (found, first))
    hashes = [[image for arm in each.images.values() for image in arm] for each in found]
    truth = [image for arm in first[0].images.values() for image in arm]
    return {
        "seconds": summary(rounds),
        "rounds": rounds,
        "speedup": asdict(speedup(others, rounds)),
        "phases": {phase: float(np.median([each.phases[phase] for each in found])) for phase in found[0].phases},
        "processes": count,
        "images": len(truth),
        "identical": min(sum(a == b for a, b in zip(some, truth, strict=True)) for some in hashes),
    }


def _command(options: Sequence[str], *, folder: str | None) -> Measured:
    with tempfile.TemporaryDirectory(dir=folder) as output:
        start = time.time()
        command = [*RUN, *options, f"output={output}"]
        done = subprocess.run(command, env=os.environ | SAFE, check=False, capture_output=True, text=True)
        whole = time.time() - start
        if done.returncode:
            said = (done.stderr.strip() or "nothing").splitlines()[-1]
            raise BadInput(f"{shlex.join(command[3:])} ended with exit code {done.returncode} ({said}); run it by itself.")
        (path,) = Path(output).glob("*/record.json")
        record, parts = read.load(path), spent.of_run(path.parent)
        images = {name: [sample.image for sample in arm.samples] for name, arm in record.arms.items()}
        return Measured(_steady(parts), _phases(parts, start=start, whole=whole), images)


def _steady(parts: Sequence[Spent]) -> float:
    """Seconds of an image once all processes are warm; of a batch in the making then, what was left of it counts."""
    busy = [part for part in parts if len(part.batches) > 1]
    if len(busy) < len(parts):
        raise BadInput("a process had fewer than two batches, which no rate can be read from; raise data.per_condition.")
    warm, end = max(part.batches[0][1] for part in busy), max(part.moments["generated"] for part in busy)
    batches = [batch for part in busy for batch in part.batches]
    images = sum(count * min(1.0, max(0.0, (stop - warm) / (stop - began))) for began, stop, count in batches)
    if not images:
        raise BadInput("all batches ended before the last process was warm; raise data.per_condition.")
    return (end - warm) / images


def _phases(parts: Sequence[Spent], *, start: float, whole: float) -> dict[str, float]:
    measured = parts[0].moments["measured"]
    lengths = [[stop - began for began, stop, _ in part.batches] for part in parts]
    return {
        "start": mean(part.moments["planned"] - start for part in parts),
        "meet": mean(part.batches[0][0] - part.moments["planned"] for part in parts),
        "build": mean(part.building for part in parts),
        "first batch": mean(own[0] - part.building for own, part in zip(lengths, parts, strict=True)),
        "generate": mean(sum(own[1:]) for own in lengths),
        "wait for others": mean(part.moments["generated"] - part.batches[-1][1] for part in parts),
        "measure": measured - parts[0].moments["generated"],
        "finish": start + whole - measured,
    }
