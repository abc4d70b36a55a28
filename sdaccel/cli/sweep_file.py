"""A sweep file of Weights & Biases: its values, its points, and the command line that each of them stands for."""

import itertools
import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sdaccel.errors import BadInput, choices
from sdaccel.user_files import yaml_of

Point = dict[str, Any]
Method = Literal["grid", "random", "bayes"]

KEYS = ("program", "command", "method", "metric", "parameters", "run_cap", "name", "description", "project", "entity")
OF_W_AND_B = {"early_terminate": "studies are not stopped half way", "controller": "there is none here"}
"""Keys that only W&B knows what to do with."""
OF_PARAMETER = ("value", "values", "min", "max", "distribution", "q", "probabilities")
DISTRIBUTIONS = ("constant", "categorical", "int_uniform", "uniform", "log_uniform_values", "q_uniform")
METRIC = "objective"
"""What runs report: see `objective=`."""
MACRO = re.compile(r"\$\{(.*)\}")
VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


def spoken(point: Point) -> str:
    """As a reader is told of it."""
    return " ".join(f"{name}={value}" for name, value in point.items())


@dataclass(frozen=True)
class Parameter:
    """What an option may be: one of some values, or a number between two."""

    values: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    whole: bool = False
    log: bool = False
    step: float | None = None

    @property
    def ends(self) -> tuple[Any, ...]:
        """All its values, or the first and the last one."""
        return self.values or (self.low, self.high)


@dataclass(frozen=True)
class Sweep:
    name: str
    program: str
    command: tuple[str, ...]
    method: Method
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    goal: Literal["minimize", "maximize"] | None = None
    """None: the file has no metric, so no point is better than another."""
    count: int | None = None
    """Points at most."""

    def grid(self) -> list[Point]:
        return [
            dict(zip(self.parameters, v, strict=True)) for v in itertools.product(*(p.values for p in self.parameters.values()))
        ]

    @property
    def size(self) -> float:
        """Different points."""
        return math.prod(len(p.values) or math.inf for p in self.parameters.values())

    def argv(self, point: Point) -> list[str]:
        """The command as W&B's agent would make it."""
        words = {
            "env": ["/usr/bin/env"],
            "interpreter": ["python"],
            "program": [self.program],
            "args_no_hyphens": [f"{name}={value}" for name, value in point.items()],
            "args_append_hydra": [f"+{name}={value}" for name, value in point.items()],
            "args_override_hydra": [f"++{name}={value}" for name, value in point.items()],
        }
        out: list[str] = []
        for part in self.command:
            part = VARIABLE.sub(lambda match: os.environ.get(match[1], match[1]), part)
            macro = MACRO.fullmatch(part)
            if macro and macro[1] not in words:
                raise BadInput(
                    f"{self.name}: command holds {part}, which is no word of a study's command; {choices(macro[1], words)}"
                )
            out += words[macro[1]] if macro else [part]
        return out

    def overrides(self, point: Point) -> list[str]:
        """What stands behind the program."""
        argv = self.argv(point)
        return argv[argv.index(self.program) + 1 :]


def read(path: Path, *, count: int | None = None) -> Sweep:
    """The file, or a BadInput that names what it cannot mean."""
    raw = yaml_of(path, option="FILE", fix="name a sweep file, such as conf/sweep/hicache.yaml")
    where = path.name
    for key in raw:
        if key in OF_W_AND_B:
            raise BadInput(
                f"{where}: {key} is for W&B alone ({OF_W_AND_B[key]}); leave it out, or run the file by `wandb sweep`."
            )
    _known(raw, KEYS, where)
    for key in ("program", "command", "method", "parameters"):
        if not raw.get(key):
            raise BadInput(f"{where}: {key} is missing; see conf/sweep/hicache.yaml.")
    if raw["method"] not in (methods := ("grid", "random", "bayes")):
        raise BadInput(f"{where}: method={raw['method']} is unknown; {choices(raw['method'], methods)}")
    if not isinstance(raw["parameters"], dict) or not isinstance(raw["command"], list):
        raise BadInput(f"{where}: parameters are options by name and command is a list; see conf/sweep/hicache.yaml.")
    command = tuple(map(str, raw["command"]))
    if "${program}" not in command or Path(str(raw["program"])).name != "run.py":
        raise BadInput(f"{where}: a sweep runs studies; write program: experiments/run.py, and ${{program}} in its command.")
    parameters = {name: _parameter(spec, f"{where}: parameters.{name}") for name, spec in raw["parameters"].items()}
    sweep = Sweep(
        path.stem,
        str(raw["program"]),
        command,
        raw["method"],
        parameters,
        _goal(raw.get("metric"), where),
        count or raw.get("run_cap"),
    )
    if sweep.method == "grid" and (free := [name for name, p in parameters.items() if not p.values]):
        raise BadInput(f"{where}: parameters.{free[0]} has no end of values for a grid; list them under values.")
    if sweep.method == "bayes" and sweep.goal is None:
        raise BadInput(f"{where}: bayes needs something to look for; write metric: {{name: {METRIC}, goal: minimize}}.")
    if sweep.method != "grid" and sweep.count is None:
        raise BadInput(f"{where}: {sweep.method} has no end by itself; write run_cap: N, or give --count N.")
    if sweep.count is not None and (type(sweep.count) is not int or sweep.count < 1):
        raise BadInput(f"{where}: run_cap={sweep.count} must be a whole number of at least 1.")
    return sweep


def _known(raw: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in raw:
        if key not in known:
            raise BadInput(f"{where}: {key} is no key of a sweep file; {choices(key, known)}")


def _goal(metric: Any, where: str) -> Literal["minimize", "maximize"] | None:
    if metric is None:
        return None
    if not isinstance(metric, dict) or metric.get("name") != METRIC:
        raise BadInput(
            f"{where}: metric.name must be {METRIC}, which runs report; say of what by objective=ARM.METRIC in command."
        )
    goal = metric.get("goal", "minimize")
    if goal not in ("minimize", "maximize"):
        raise BadInput(f"{where}: metric.goal={goal} is unknown; choose minimize or maximize.")
    return "maximize" if goal == "maximize" else "minimize"


def _parameter(spec: Any, where: str) -> Parameter:
    if not isinstance(spec, dict):
        raise BadInput(f"{where}={spec} must be {{values: [..]}}, {{value: ..}} or {{min: .., max: ..}}.")
    if "parameters" in spec:
        raise BadInput(f"{where} is nested; write its options with dots, such as strategy.interval.")
    _known(spec, OF_PARAMETER, where)
    if "probabilities" in spec:
        raise BadInput(f"{where}.probabilities is for W&B alone; leave it out.")
    if (said := spec.get("distribution")) is not None and said not in DISTRIBUTIONS:
        raise BadInput(f"{where}.distribution={said} cannot be drawn here; {choices(said, DISTRIBUTIONS)}")
    if "value" in spec:
        return Parameter((spec["value"],))
    if "values" in spec:
        if not isinstance(spec["values"], list) or not spec["values"]:
            raise BadInput(f"{where}.values={spec['values']} must be a list with a value.")
        if len({repr(value) for value in spec["values"]}) < len(spec["values"]):
            raise BadInput(f"{where}.values={spec['values']} holds a value twice; leave one out.")
        return Parameter(tuple(spec["values"]))
    low, high, step = spec.get("min"), spec.get("max"), spec.get("q")
    numbers = [n for n in (low, high, step) if n is not None]
    if low is None or high is None or any(type(n) not in (int, float) for n in numbers) or low >= high:
        raise BadInput(f"{where} needs numbers min < max, or values.")
    whole = said == "int_uniform" or (said in (None, "q_uniform") and all(type(n) is int for n in numbers))
    if said == "log_uniform_values" and low <= 0:
        raise BadInput(f"{where}.min={low} must be above 0 on a logarithmic scale.")
    step = (1 if step is None else step) if said == "q_uniform" else None
    return Parameter((), low, high, whole=whole, log=said == "log_uniform_values", step=step)
