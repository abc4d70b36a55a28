"""Benchmarks from the command line to a record, and back from a record to what of it can be made anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate
from omegaconf import MISSING, OmegaConf

from sdaccel import registry
from sdaccel.benches.base import Benchmark, total
from sdaccel.configuring import composed, plain, told_in_one_line
from sdaccel.errors import BadInput
from sdaccel.records import store
from sdaccel.records.names import named, random_weights
from sdaccel.records.provenance import git_state, numerics, provenance
from sdaccel.records.verify import content_differs
from sdaccel.records.view import Record

COMMAND = "experiments/bench.py"


@dataclass
class Options:
    """The command line of a benchmark."""

    bench: Any = MISSING
    """What is measured, chosen by +bench=NAME."""
    generator: Any = MISSING
    device: str = "cpu"
    output: str = "runs/bench"
    """Where records go."""


@dataclass(frozen=True)
class Plan:
    """A benchmark that can run."""

    benchmark: Benchmark
    generator: Any
    config: dict[str, Any]
    device: torch.device
    output: Path
    overrides: list[str]

    @property
    def name(self) -> str:
        return f"bench_{registry.name_of(self.benchmark)}"

    def content(self, *, device: dict[str, Any]) -> dict[str, Any]:
        """What can be made anew on any machine; `device` is where it was measured."""
        asked, model = self.benchmark, self.config["generator"]
        study = {"name": self.name, "question": asked.question, "baseline": "", "figures": list(asked.figures)}
        return {
            "config": {"study": study} | self.config,
            "device": device,
            "work": {case: total(stages) for case, stages in asked.work(self.generator).items()},
            "arms": {},
            "checks": [],
            "failures": [],
            "verdict": "no claim",
            "random_weights": random_weights(model, model["identity"]),
        }


def plan(overrides: Sequence[str], *, conf: Path, device: str | None = None) -> Plan:
    """Every mistake is a BadInput of one line. A `device` replaces the one of the command."""
    registry.load_all()
    ConfigStore.instance().store(name="bench_schema", node=Options)
    cfg = composed("bench", overrides, conf=conf)
    if OmegaConf.is_missing(cfg, "bench"):
        raise BadInput("no benchmark is chosen; give one, such as +bench=var_engine.")
    with told_in_one_line():
        benchmark, generator = (instantiate(node, _convert_="all") for node in (cfg.bench, cfg.generator))
    found = device_of(device or cfg.device)
    benchmark.check(generator)
    options = {key: value for key, value in plain(cfg.generator).items() if not key.endswith("weights")}
    config = {
        "bench": named(plain(cfg.bench), registry.name_at),
        "generator": named(options, registry.name_at) | {"identity": generator.identity()},  # its hashes stand for the weights
    }
    return Plan(benchmark, generator, config, found, Path(cfg.output), list(overrides))


def device_of(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise BadInput(f"device={name} is unknown; choose cpu or cuda.")
    if name == "cuda" and not torch.cuda.is_available():
        raise BadInput("device=cuda needs a GPU and this machine shows none; use device=cpu.")
    return torch.device(name)


def run(plan: Plan) -> dict[str, Any]:
    """The record."""
    git = git_state()
    timing = plan.benchmark.run(plan.generator, plan.device)
    bits = numerics(plan.device, threads=torch.get_num_threads())
    content = plan.content(device={key: bits[key] for key in ("device", "device_name")})
    source = provenance(COMMAND, plan.overrides, bits=bits, code={}, git=git)
    return store.sealed(plan.name, content, digits=12, timing=timing, provenance=source, folders={})


def verify(record: Record, *, conf: Path) -> list[str]:
    """What the record's command makes otherwise today: configuration and work; its clocks are not run."""
    made = plan(record.provenance.command[1:], conf=conf, device="cpu").content(device=record.content["device"])
    return content_differs(record, made)
