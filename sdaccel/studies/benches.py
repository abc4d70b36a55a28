"""Benchmarks from the command line to a record, and back from a record to what of it can be made anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import MissingMandatoryValue, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sdaccel.errors import BadInput
from sdaccel.measure import bench
from sdaccel.records import store
from sdaccel.records.names import named, random_weights
from sdaccel.records.verify import content_differs
from sdaccel.records.view import Record
from sdaccel.registry import name_at
from sdaccel.studies.arms import plain
from sdaccel.studies.compose import one_line, register
from sdaccel.studies.provenance import numerics, provenance

COMMAND = "experiments/bench.py"
FIGURES = ("bench_times",)
"""Of a benchmark that names none."""


@dataclass(frozen=True)
class Plan:
    """A benchmark that can run."""

    benchmark: bench.Benchmark
    generator: Any
    config: dict[str, Any]
    device: torch.device
    output: Path
    overrides: list[str]

    @property
    def bits(self) -> dict[str, Any]:
        return numerics(self.device, threads=torch.get_num_threads())

    def content(self, *, device: dict[str, Any]) -> dict[str, Any]:
        """What can be made anew on any machine; `device` is where it was measured."""
        asked, model = self.benchmark, self.config["generator"]
        figures = list(getattr(asked, "figures", FIGURES))
        study = {"name": f"bench_{asked.name}", "question": asked.question, "baseline": "", "figures": figures}
        return {
            "config": {"study": study} | self.config,
            "device": device,
            "work": {case: bench.total(stages) for case, stages in asked.work(self.generator).items()},
            "arms": {},
            "checks": [],
            "failures": [],
            "verdict": "no claim",
            "random_weights": random_weights(model, model["identity"]),
        }


def plan(overrides: Sequence[str], *, conf: Path, device: str | None = None) -> Plan:
    """Every mistake is a BadInput of one line. A `device` replaces the one of the command."""
    register()
    ConfigStore.instance().store(name="bench_schema", node=bench.Options)
    try:
        with initialize_config_dir(str(conf.resolve()), version_base="1.3"):
            cfg = compose("bench", overrides=list(overrides))
        if OmegaConf.is_missing(cfg, "bench"):
            raise BadInput("no benchmark is chosen; give one, such as +bench=var_engine.")
        benchmark, generator = (instantiate(node, _convert_="all") for node in (cfg.bench, cfg.generator))
    except (HydraException, OmegaConfBaseException, MissingMandatoryValue) as error:
        raise BadInput(one_line(error)) from error
    found = bench.device_of(device or cfg.device)
    benchmark.check(generator)
    own = {key: value for key, value in plain(cfg.bench).items() if key != "_target_"}
    options = {key: value for key, value in plain(cfg.generator).items() if not key.endswith("weights")}
    config = {
        "bench": {"name": benchmark.name} | named(own, name_at),
        "generator": named(options, name_at) | {"identity": generator.identity()},  # whose hashes stand for the weights' paths
    }
    return Plan(benchmark, generator, config, found, Path(cfg.output), list(overrides))


def run(plan: Plan) -> dict[str, Any]:
    """The record."""
    timing = plan.benchmark.run(plan.generator, plan.device)
    device = {key: plan.bits[key] for key in ("device", "device_name")}
    command = [o for o in plan.overrides if not o.startswith("output=")]
    source = provenance(plan.bits, [], command) | {"command": [COMMAND, *command]}
    name = f"bench_{plan.benchmark.name}"
    return store.sealed(name, plan.content(device=device), digits=12, timing=timing, provenance=source, folders={})


def verify(record: Record, *, conf: Path) -> list[str]:
    """What the record's command makes otherwise today: configuration and work; its clocks are not run."""
    made = plan(record.provenance.command[1:], conf=conf, device="cpu").content(device=record.content["device"])
    return content_differs(record, made)
