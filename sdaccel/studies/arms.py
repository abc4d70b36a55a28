"""From `study.arms` to the list of runs: lists become one arm per value, `vary` multiplies them, every option is checked."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from sdaccel.configuring import plain
from sdaccel.errors import BadInput, choices
from sdaccel.generators.base import Cost
from sdaccel.records.migrate import current
from sdaccel.records.names import arm_name, named, short
from sdaccel.registry import name_at, unsaid
from sdaccel.strategies.controls import MUTANTS, OBSERVERS

Load = Callable[[str, str], DictConfig]
"""(group, name) -> the composed config of one option of a group."""

GROUPS = ("generator", "backend", "strategy")
"""Keys of an arm that choose an option of the group of that name."""
OWN_TYPES = (
    {"experimental": bool, "images_before": int}
    | dict.fromkeys(GROUPS, str)
    | dict.fromkeys(("calibration", "against", "mutant", "for", "fails"), str)
)
"""Keys of an arm that are not options of its strategy, beside the names of observers, which are true or false; keys
`generator.*` and `backend.*` are options of those."""
BESIDE_BASELINE: dict[str, Any] = {"baseline": {"backend": "dense", "strategy": "original"}, "run": {}}
"""The arms of a study that names none: the unaccelerated run, and what was chosen on the command line."""


@dataclass(frozen=True)
class Arm:
    """One run of the study."""

    template: str
    """Its name in `study.arms` or `study.controls`."""
    point: dict[str, Any]
    """The values it has of everything that was a list or varied."""
    generator: Any
    backend: Any
    strategy: Any
    config: dict[str, Any]
    """The resolved options: what the samples are a function of, beside data and code."""
    own: frozenset[str] = frozenset()
    """Groups that it chooses and options that it sets, by full names: what is said of the whole study does not reach them."""
    observers: tuple[str, ...] = ()
    """Names of those that watch its strategy."""
    experimental: bool = False
    """Its settings are a calibration that has not passed its gate yet."""
    images_before: int = 0
    against: str | None = None
    """What it is compared with in place of the study's baseline."""
    mutant: str | None = None
    stands_for: str | None = None
    fails: str | None = None

    @property
    def name(self) -> str:
        return arm_name(self.template, self.point)

    @property
    def real(self) -> bool:
        """Its pictures come from no network's steps: nothing to time, and not on the noise of the other arms."""
        return bool(self.generator.steps == 0)

    @property
    def timed(self) -> bool:
        return not (self.mutant or self.observers or self.real)

    @property
    def beside(self) -> dict[str, Any]:
        """Configs of the models that its strategy runs beside the generator, by the strategy's name for them."""
        models: dict[str, Any] = self.strategy.models(self.generator)
        return models

    @property
    def configs(self) -> dict[str, Any]:
        """Configs of all its models, the generator first."""
        return {"generator": self.generator, **self.beside}

    def identities(self) -> dict[str, Any]:
        """What decides the numbers of its models."""
        beside = {name: model.identity() for name, model in self.beside.items()}
        return {"identity": self.generator.identity()} | ({"beside": beside} if beside else {})

    def kept(self, names: Sequence[str]) -> list[str]:
        """Of the arrays that the study keeps, those that this arm has."""
        return [name for name in names if name in self.generator.keeps]

    def shares_noise(self, other: "Arm") -> bool:
        """Sample i of both is made of the same noise in the same way, so that their pictures can be compared in pairs."""
        return self.real == other.real

    def agrees(self, other: "Arm") -> bool:
        """Same value wherever both have one: the pairs that a comparison of two templates means."""
        return all(other.point.get(key, value) == value for key, value in self.point.items())

    def baseline(self, template: str, arms: "Sequence[Arm]") -> "Arm | None":
        """The one arm of the baseline template, or of its own `against`, that this arm is measured against."""
        return self.one_of(self.against or template, arms)

    def truth(self, templates: Sequence[str], arms: "Sequence[Arm]") -> "Arm | None":
        """The other arm of the same noise that stands for the exact solution."""
        found = self.one_of(templates[0], arms) if templates else None
        return found if found and found.name != self.name and self.shares_noise(found) else None

    def one_of(self, template: str, arms: "Sequence[Arm]") -> "Arm | None":
        found = [arm for arm in arms if arm.template == template and self.agrees(arm)]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True)
class Price:
    """Analytic cost of an arm's models."""

    generator: Cost
    beside: dict[str, Cost]

    @property
    def models(self) -> list[Cost]:
        return [self.generator, *self.beside.values()]


def prices(arms: Sequence[Arm]) -> dict[str, Price]:
    """By arm; equal models are priced once."""
    known: dict[str, Cost] = {}

    def price(model: Any) -> Cost:
        key = json.dumps([type(model).__qualname__, asdict(model)], sort_keys=True)
        if key not in known:
            known[key] = model.cost()
        return known[key]

    return {arm.name: Price(price(arm.generator), {n: price(m) for n, m in arm.beside.items()}) for arm in arms}


def expand(cfg: DictConfig, load: Load) -> list[Arm]:
    """Every arm of the study in order: arms at every point, then controls at the first."""
    vary = plain(cfg.study.vary)
    arms = []
    for name, spec in (plain(cfg.study.arms) or BESIDE_BASELINE).items():
        _check_spec(spec, f"study.arms.{name}")
        for key in set(spec) & {"mutant", "for", "fails"}:
            raise BadInput(f"study.arms.{name}.{key} belongs to a control; move the arm to study.controls.")
        arms += [_arm(cfg, load, name, *point) for point in _points(spec, vary, f"study.arms.{name}")]
    for name, spec in plain(cfg.study.controls).items():
        _check_spec(spec, f"study.controls.{name}")
        if missing := {"mutant", "for", "fails"} - set(spec):
            raise BadInput(f"study.controls.{name} lacks {', '.join(sorted(missing))}.")
        first = {key: values[:1] for key, values in vary.items()}
        arms += [_arm(cfg, load, name, *point) for point in _points(spec, first, f"study.controls.{name}")]
    names = [arm.name for arm in arms]
    if twice := {name for name in names if names.count(name) > 1}:
        raise BadInput(f"arm {min(twice)} occurs twice; give every arm its own name and every list distinct values.")
    return arms


def _check_spec(spec: Any, where: str) -> None:
    """Types of an arm's own options; those of generator and strategy are checked against their schemas."""
    if not isinstance(spec, dict):
        raise BadInput(f"{where}={spec} must be a mapping of options, such as {{strategy: hicache, interval: 5}}.")
    for key, kind in (OWN_TYPES | dict.fromkeys(OBSERVERS, bool)).items():
        for value in spec[key] if isinstance(spec.get(key), list) else [spec[key]] if key in spec else []:
            if type(value) is not kind or (isinstance(value, int) and value < 0):
                raise BadInput(f"{where}.{key}={value} must be {kind.__name__}{' of at least 0' if kind is int else ''}.")


def renamed(cfg: DictConfig) -> None:
    """Options of arms under the names of today: `mode` of older files is `strategy`."""
    for part in ("arms", "controls"):
        specs = plain(cfg.study[part]).items()
        cfg.study[part] = {name: _renamed(spec, f"study.{part}.{name}") for name, spec in specs}
    cfg.study.vary = _renamed(plain(cfg.study.vary), "study.vary")


def _renamed(spec: Any, where: str) -> Any:
    if not isinstance(spec, dict):
        return spec
    if {"mode", "strategy"} <= set(spec):
        raise BadInput(f"{where} gives both mode and strategy, which are one option; leave mode out.")
    return current(spec)


def _points(spec: dict[str, Any], vary: dict[str, list[Any]], where: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(all options, the swept ones) of every arm that a spec with lists stands for."""
    axes = {key: value for key, value in spec.items() if isinstance(value, list)}
    axes |= {key: values for key, values in vary.items() if key not in spec}
    if empty := [key for key, values in axes.items() if not values]:
        raise BadInput(f"{where}: the list of {empty[0]} is empty, so no arm would run; give it a value.")
    for values in itertools.product(*axes.values()):
        point = dict(zip(axes, values, strict=True))
        yield spec | point, point


def _arm(cfg: DictConfig, load: Load, name: str, options: dict[str, Any], point: dict[str, Any]) -> Arm:
    where = f"study.arms.{name}" if "mutant" not in options else f"study.controls.{name}"
    chosen = _calibrated(cfg, load, options, where)
    generator, backend, strategy = (load(group, options[group]) if group in options else chosen[group] for group in GROUPS)
    of_strategy = {k: v for k, v in options.items() if k not in OWN_TYPES and k not in OBSERVERS and short(k) == k}
    generator = _updated(generator, _of("generator", options), f"{where}.generator", _called("generator", options))
    backend = _updated(backend, _of("backend", options), f"{where}.backend", _called("backend", options))
    models = {k: v for k, v in of_strategy.items() if isinstance(v, str) and _is_model(strategy, k)}
    strategy = _updated(strategy, {k: load("generator", v) for k, v in models.items()}, where, "")
    of_strategy = {k: v for k, v in of_strategy.items() if k not in models}
    strategy = _updated(strategy, of_strategy, where, _called("strategy", options))
    if (mutant := options.get("mutant")) is not None and mutant not in MUTANTS:
        raise BadInput(f"{where}.mutant={mutant} is unknown; {choices(mutant, MUTANTS)}")
    observers = tuple(name for name in OBSERVERS if options.get(name))
    config = {
        "generator": content_of(generator),
        "backend": content_of(backend),
        "strategy": content_of(strategy),
        "images_before": options.get("images_before", 0),
        "mutant": mutant,
        "observers": list(observers),
    }
    return Arm(
        template=name,
        point=point,
        generator=_instantiate(generator),
        backend=_instantiate(backend),
        strategy=_instantiate(strategy),
        config=config,
        own=_own(options),
        observers=observers,
        experimental=options.get("experimental", chosen.experimental and not {"strategy", "backend"} & set(options)),
        images_before=config["images_before"],
        against=options.get("against"),
        mutant=mutant,
        stands_for=options.get("for"),
        fails=options.get("fails"),
    )


def _own(options: dict[str, Any]) -> frozenset[str]:
    calibrated = {"backend", "strategy", "experimental"} if "calibration" in options else set()
    return frozenset(calibrated | {k if k in OWN_TYPES or short(k) != k else f"strategy.{k}" for k in options})


def _calibrated(cfg: DictConfig, load: Load, options: dict[str, Any], where: str) -> DictConfig:
    """The run's own choices, or with `calibration` those of that file, which chooses backend and strategy together."""
    if "calibration" not in options:
        return cfg
    if twice := {"strategy", "backend"} & set(options):
        raise BadInput(
            f"{where}.{min(twice)} is chosen by calibration={options['calibration']} already; leave one of them out."
        )
    found = cfg.copy()
    OmegaConf.set_readonly(found, False)
    calibrated = load("calibration", options["calibration"])
    for key in ("backend", "strategy", "experimental"):
        found[key] = calibrated[key]
    return found


def _is_model(strategy: DictConfig, key: str) -> bool:
    """The option holds the config of a generator, so that an arm may name another one."""
    held = OmegaConf.select(strategy, key) if key in strategy else None
    return isinstance(held, DictConfig) and "_target_" in held


def _of(group: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options that carry a group's prefix, without it."""
    return {k.removeprefix(f"{group}."): v for k, v in options.items() if k.startswith(f"{group}.")}


def _called(group: str, options: dict[str, Any]) -> str:
    return f"{group} {options.get(group, '')}".strip()


def _updated(node: DictConfig, options: dict[str, Any], where: str, what: str) -> DictConfig:
    if not options:
        return node
    node = node.copy()
    OmegaConf.set_readonly(node, False)
    OmegaConf.set_struct(node, True)
    for key, value in options.items():
        try:
            there = OmegaConf.select(node, key) is not None  # into nothing nothing can be merged
            OmegaConf.update(node, key, value, merge=there and not isinstance(value, DictConfig))
        except (ConfigAttributeError, ConfigKeyError):
            parent, _, _ = key.rpartition(".")
            inner = OmegaConf.select(node, parent) if parent else node
            known = [str(k) for k in (inner if isinstance(inner, DictConfig) else node) if k != "_target_"]
            said = choices(key.rpartition(".")[2], known, there="it has")
            raise BadInput(f"{where}.{key}={value}: {what} has no such option; {said}") from None
        except OmegaConfBaseException as error:
            raise BadInput(f"{where}.{key}={value}: {str(error).splitlines()[0]}.") from None
    return node


def _instantiate(node: DictConfig) -> Any:
    """Frozen, so that arms of equal options share one: making it is most of the time that a large study takes to expand."""
    return _made(json.dumps(plain(node)))


@cache
def _made(options: str) -> Any:
    return instantiate(json.loads(options), _convert_="all")


def content_of(node: DictConfig) -> dict[str, Any]:
    """Options under registered names, without paths to weights, whose hash stands in their place, and later ones left alone."""
    return content_of_options(plain(node))


def content_of_options(options: dict[str, Any]) -> dict[str, Any]:
    """The same of options that are no node any more."""
    content: dict[str, Any] = named(_said(options), name_at)
    return content


def _said(options: dict[str, Any]) -> dict[str, Any]:
    unspoken = unsaid(options["_target_"]) if "_target_" in options else {}
    kept = {k: v for k, v in options.items() if not str(k).endswith("weights") and not (k in unspoken and v == unspoken[k])}
    return {k: _said(v) if isinstance(v, dict) else v for k, v in kept.items()}
