"""From command-line overrides to a checked study. All of it runs before anything heavy is imported or built."""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from sdaccel import registry
from sdaccel.conditions import Condition
from sdaccel.configuring import plain, told_in_one_line, within
from sdaccel.errors import BadInput, at_least, choices
from sdaccel.generators.base import Notes
from sdaccel.metrics.suite import promised
from sdaccel.registry import name_of
from sdaccel.strategies.base import check_declared
from sdaccel.strategies.controls import MUTANTS, OBSERVERS
from sdaccel.studies import schema
from sdaccel.studies.arms import Arm, expand, renamed
from sdaccel.studies.calibrations import labelled
from sdaccel.studies.checks.base import Check, Scope, parse, validate
from sdaccel.studies.data import conditions_of
from sdaccel.studies.effect import check_reach
from sdaccel.studies.mirroring import check_login
from sdaccel.studies.schema import Study

GROUPS = ("exp", "generator", "backend", "strategy", "calibration", "metrics", "data", "trainer", "logger")


@dataclass(frozen=True)
class Plan:
    """A study that can run."""

    cfg: DictConfig
    arms: list[Arm]
    metrics: Any
    """The suite, instantiated."""
    conditions: list[Condition]
    checks: list[Check]
    overrides: list[str]
    """The command, for the record."""
    notes: list[str]
    """What was made of it, where that is more than it says, and what its models say of the conditions."""

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of its metrics."""
        return promised(self.metrics, self.conditions, truth=bool(self.cfg.study.truth))


def register() -> None:
    schema.register()
    registry.load_all()


def plan(overrides: Sequence[str], *, conf: Path) -> Plan:
    """Compose, expand and check. Every mistake is a BadInput of one line."""
    with _pointing_to_arms(overrides), told_in_one_line(), within(conf):
        cfg = compose("config", overrides=list(overrides))
        renamed(cfg)
        load = _loader(overrides)
        arms = expand(cfg, load)
        metrics = instantiate(cfg.metrics, _convert_="all")
        OmegaConf.resolve(cfg)
    checks = [parse(spec) for spec in plain(cfg.study.checks)]
    check_reach(overrides, arms, checks, baseline=cfg.study.baseline)
    conditions = conditions_of(cfg.data, arms, of_world=getattr(metrics, "of_world", False))
    notes = _whole_batches(cfg, len(conditions))
    notes += _of_models(_check_arms(arms, conditions), conditions)
    with within(conf):
        arms = labelled(arms, load)
    _check_keep(cfg.study.keep, arms)
    _check_pairs(cfg, arms)
    _check_recommended(cfg.study.recommend, arms, checks)
    metrics.check(conditions)
    made = Plan(cfg, arms, metrics, conditions, checks, list(overrides), notes)
    validate(checks, Scope(arms, made.measured, cfg.study.baseline))
    _check_run(cfg)
    return made


@contextmanager
def _pointing_to_arms(overrides: Sequence[str]) -> Iterator[None]:
    """An option that the default strategy lacks is often meant for an arm of the study."""
    try:
        yield
    except BadInput as error:
        lost = re.search(r"Could not override '(?:strategy|(backend))\.(\S+)'", str(error))
        if lost and any(override.startswith("+exp=") for override in overrides):
            option = f"backend.{lost[2]}" if lost[1] else lost[2]
            raise BadInput(f"{error} The arms of a study have options of their own: study.arms.NAME.{option}=...") from None
        raise


def offered(overrides: Sequence[str], *, conf: Path) -> dict[str, list[str]]:
    """What every group of the configuration offers."""
    with within(conf):
        compose("config", overrides=[o for o in overrides if o.startswith("hydra.searchpath")])  # brings the search path in
        loader = GlobalHydra.instance().config_loader()
        return {group: loader.get_group_options(group) for group in GROUPS}


def _loader(overrides: Sequence[str]) -> Any:
    """Options of a group as the primary config would get them, from the same search path."""
    search = [o for o in overrides if o.lstrip("+").startswith("hydra.searchpath")]

    @cache
    def load(group: str, name: str) -> DictConfig:
        try:
            if group == "calibration":  # a delta of the whole configuration, which chooses from several groups
                return compose("config", overrides=[*search, f"+calibration={name}"])
            return compose(f"{group}/{name}", overrides=search)[group]
        except MissingConfigException:
            known = GlobalHydra.instance().config_loader().get_group_options(group)
            raise BadInput(f"{group} {name} does not exist; {choices(name, known)}") from None

    return load


def _whole_batches(cfg: DictConfig, samples: int) -> list[str]:
    """A batch holds no more rows than there are samples: the others would be computed and dropped."""
    asked = cfg.data.batch_size
    if asked <= samples:
        return []
    cfg.data.batch_size = samples
    return [f"data.batch_size={asked} is lowered to {samples}, the number of samples; bits depend on it, so it is on record."]


def _check_keep(keep: Sequence[str], arms: Sequence[Arm]) -> None:
    """Every array must be one that some generator of the study has."""
    known = dict.fromkeys(name for arm in arms for name in arm.generator.keeps)
    for name in keep:
        if name not in known:
            generators = ", ".join(dict.fromkeys(name_of(arm.generator) for arm in arms))
            raise BadInput(f"study.keep: {generators} keeps no array named {name}; choose from {', '.join(known) or 'none'}.")


def _check_arms(arms: Sequence[Arm], conditions: Sequence[Condition]) -> list[Any]:
    """Every part of every arm; models that several arms share are looked at once, and handed back."""
    sound: list[Any] = []

    def check(model: Any, option: str = "") -> None:
        if model not in sound:
            try:
                model.check(conditions)
            except BadInput as error:
                raise BadInput(f"{option}{error}") from None
            sound.append(model)

    for arm in arms:
        check(arm.generator)
        _check_arm(arm, conditions)
        for name, model in arm.beside.items():
            check(model, f"strategy.{name}: ")
    return sound


def _of_models(models: Sequence[Any], conditions: Sequence[Condition]) -> list[str]:
    """What they say of the conditions; the same line once."""
    return list(dict.fromkeys(note for model in models if isinstance(model, Notes) for note in model.notes(conditions)))


def _check_arm(arm: Arm, conditions: Sequence[Condition]) -> None:
    arm.backend.check(arm.generator)
    check_declared(f"arm {arm.name}", arm.strategy, arm.generator)
    arm.strategy.check(arm.generator.steps)
    arm.strategy.fits(arm.generator, conditions)
    for name in arm.observers:
        OBSERVERS[name].check(f"arm {arm.name}", strategy=arm.strategy, generator=arm.generator)
    if arm.mutant:
        MUTANTS[arm.mutant].check(arm.mutant, f"arm {arm.name}", strategy=arm.strategy, backend=arm.backend)


def _check_pairs(cfg: DictConfig, arms: Sequence[Arm]) -> None:
    """What a comparison with the baseline needs."""
    templates = {arm.template for arm in arms}
    if cfg.study.baseline not in templates and cfg.study.baseline != Study().baseline:
        raise BadInput(f"study.baseline={cfg.study.baseline} is no arm; there are {', '.join(sorted(templates))}.")
    for name in cfg.study.truth:
        if [arm.template for arm in arms].count(name) != 1:
            raise BadInput(
                f"study.truth={name} must be one arm, made once for all others; there are {', '.join(sorted(templates))}."
            )
    for arm in arms:
        if arm.against and arm.against not in templates:
            raise BadInput(
                f"study.arms.{arm.template}.against={arm.against} is no arm; there are {', '.join(sorted(templates))}."
            )
        baseline = arm.baseline(cfg.study.baseline, arms)
        others = (arm, baseline, arm.truth(cfg.study.truth, arms))
        sizes = [(of.generator.height, of.generator.width) for of in others if of]
        if len(set(sizes)) > 1:
            raise BadInput(f"arm {arm.name} makes {sizes[0]} pixels and its baseline {sizes[1]}; compare equal sizes.")


def _check_recommended(recommend: Any, arms: Sequence[Arm], checks: Sequence[Check]) -> None:
    """Candidates that exist and are judged, and a name for what is chosen."""
    templates = {arm.template for arm in arms}
    if recommend.arms and not re.fullmatch(r"[\w-]+", recommend.name):
        raise BadInput(f"study.recommend.name={recommend.name} names a calibration; use letters, digits, '_' and '-' only.")
    for name in recommend.arms:
        if name not in templates:
            raise BadInput(f"study.recommend.arms names {name}; there are {', '.join(sorted(templates))}.")
        if not any(name in check.subjects for check in checks):
            raise BadInput(f"study.recommend.arms names {name}, which no check looks at; judge it in study.checks.")


def _check_run(cfg: DictConfig) -> None:
    if not re.fullmatch(r"[\w.-]+", cfg.study.name):
        raise BadInput(f"study.name={cfg.study.name} names a folder; use letters, digits, '_', '-' and '.' only.")
    if not 0 <= cfg.seed < 2**63:
        raise BadInput(f"seed={cfg.seed} must lie between 0 and 2^63 - 1.")
    at_least(0, cfg.study.timing, "repeats", "warmup", where="study.timing")
    if not cfg.output:
        raise BadInput("output is empty; name the folder for samples and records, such as output=runs.")
    check_output(Path(cfg.output))
    if cfg.trainer.accelerator not in ("cpu", "gpu", "auto"):
        raise BadInput(f"trainer.accelerator={cfg.trainer.accelerator} is unknown; choose cpu, gpu or auto.")
    at_least(0, cfg.trainer, "processes", where="trainer")
    at_least(1, cfg.trainer, "threads", where="trainer")
    if cfg.trainer.accelerator == "gpu":
        import torch

        if not torch.cuda.is_available():
            raise BadInput("trainer=gpu needs a CUDA device and this machine shows none; use trainer=cpu.")
    check_login(cfg.logger)


def check_output(output: Path) -> None:
    """It can be written, or made where it would lie."""
    nearest = output
    while not os.path.lexists(nearest):  # a dangling link cannot become a folder
        nearest = nearest.parent
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            output.stat()  # raises for a name that is too long
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise BadInput(f"output={output} cannot be written ({nearest}: {error.strerror}); choose another folder.") from None
