"""The points of a sweep in an Optuna study that its agents share: claimed one at a time, and never lost with an agent.

An agent holds a lock for as long as it lives, and its run holds it too. A point that is running under a lock that nobody holds
belongs to nobody, so the next agent that claims one puts it back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from sdaccel.cli.sweep_file import Parameter, Point, Sweep
from sdaccel.locks import held, is_held

PLAIN = (type(None), bool, int, float, str)
"""Values that Optuna holds as they are; others stand in it by their text."""
WAITS = 60
"""Seconds that one agent waits while another writes."""


@dataclass(frozen=True)
class Claim:
    """A point that is one agent's alone."""

    trial: optuna.Trial
    point: Point


class Store:
    """One sweep's study in a folder."""

    def __init__(self, sweep: Sweep, folder: Path, *, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(parents=True, exist_ok=True)
        self.sweep = sweep
        self.folder = folder
        self.seed = seed
        self.distributions = {name: distribution(p) for name, p in sweep.parameters.items()}
        storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/sweep.db", engine_kwargs={"connect_args": {"timeout": WAITS}})
        self.study = optuna.create_study(
            storage=storage,
            study_name="sweep",
            direction=sweep.goal or "minimize",
            load_if_exists=True,
        )

    def fill(self, points: Sequence[Point], *, since: float) -> None:
        """Every point that nobody has made, makes or is to make; those that failed before this time are tried again."""
        with held(self.folder / "claim.lock"):
            self._put_back(points, since)

    def claim(self, agent: str, points: Sequence[Point], *, since: float) -> Claim | None:
        """None: all that there are have been given to somebody."""
        with held(self.folder / "claim.lock"):
            self._put_back(points, since)
            waiting = any(trial.state == TrialState.WAITING for trial in self.trials())
            if not waiting and (self.sweep.method != "bayes" or self.taken(since) >= (self.sweep.count or 0)):
                return None
            self.study.sampler = optuna.samplers.TPESampler(seed=self.seed + len(self.trials()))  # no two agents draw alike
            trial = self.study.ask(self.distributions)
            trial.set_user_attr("agent", agent)
            return Claim(trial, self.meant(trial.params))

    def tell(self, claim: Claim, found: Mapping[str, Any], *, why: str) -> None:
        """What a run has told of itself; without an objective it has failed, for this reason."""
        for name, value in found.items():
            claim.trial.set_user_attr(name, value)
        value = found.get("objective") if self.sweep.goal else 0.0 if found else None
        if value is None:
            claim.trial.set_user_attr("why", why)
            self.study.tell(claim.trial, state=TrialState.FAIL)
        else:
            self.study.tell(claim.trial, value)

    def trials(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    @property
    def busy(self) -> bool:
        """Some point is being made, and would come back if its agent went."""
        return any(trial.state == TrialState.RUNNING for trial in self.trials())

    def taken(self, since: float) -> int:
        """Points that are made, being made or to be made."""
        return sum(covers(trial, since) for trial in self.trials())

    def meant(self, params: Mapping[str, Any]) -> Point:
        """A point's own values, in the order of the file, of what Optuna holds of it."""
        return {name: value_of(parameter, params[name]) for name, parameter in self.sweep.parameters.items()}

    def _put_back(self, points: Sequence[Point], since: float) -> None:
        """Only under the lock: who has claimed a point and not yet written its name there can only be gone."""
        for trial in self.trials():
            agent = trial.user_attrs.get("agent")
            if trial.state == TrialState.RUNNING and (agent is None or not is_held(self.folder / "agents" / agent)):
                self.study.tell(trial.number, state=TrialState.FAIL)
                if self.sweep.method == "bayes" and agent is not None:
                    self.study.enqueue_trial(dict(trial.params))
        there = {
            _key(trial.params or trial.system_attrs.get("fixed_params", {})) for trial in self.trials() if covers(trial, since)
        }
        for point in points:
            fixed = {name: label(self.sweep.parameters[name], value) for name, value in point.items()}
            if _key(fixed) not in there:
                self.study.enqueue_trial(fixed)


def covers(trial: FrozenTrial, since: float) -> bool:
    """It needs no other attempt: one that went with its agent does, and one that failed before this time."""
    if trial.state != TrialState.FAIL:
        return True
    return "why" in trial.user_attrs and trial.datetime_complete is not None and trial.datetime_complete.timestamp() >= since


def label(parameter: Parameter, value: Any) -> Any:
    """A value as Optuna holds it, to whom 1, 1.0 and true are one."""
    values = parameter.values
    return value if all(isinstance(v, PLAIN) for v in values) and len({*values}) == len(values) else repr(value)


def value_of(parameter: Parameter, labelled: Any) -> Any:
    """The value that has this label."""
    return next((value for value in parameter.values if label(parameter, value) == labelled), labelled)


def _key(params: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((name, repr(value)) for name, value in params.items()))


def distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.values:
        return CategoricalDistribution([label(parameter, value) for value in parameter.values])
    if parameter.whole:
        return IntDistribution(int(parameter.low), int(parameter.high), step=int(parameter.step or 1))
    return FloatDistribution(parameter.low, parameter.high, log=parameter.log, step=parameter.step)


def drawn(sweep: Sweep, *, seed: int) -> list[Point]:
    """The points of a grid, or of a random search, no two alike; none of bayes, which looks before it chooses."""
    if sweep.method != "random":
        return sweep.grid()[: sweep.count] if sweep.method == "grid" else []
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    distributions = {name: distribution(parameter) for name, parameter in sweep.parameters.items()}
    found: dict[Any, Point] = {}
    while len(found) < min(sweep.count or 0, sweep.size):
        params = study.ask(distributions).params
        point = {name: value_of(parameter, params[name]) for name, parameter in sweep.parameters.items()}
        found.setdefault(_key(params), point)
    return list(found.values())
