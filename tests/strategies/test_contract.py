"""Strategies and backends keep what they promise: refused by name when registered if they lack it, and true when they run."""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar

import pytest
import torch

from sdaccel import registry
from sdaccel.generators.base import Generation
from sdaccel.registry import CONFIGURABLES, Named
from sdaccel.strategies.base import Alone, Declares, Equipped, backend, strategy
from sdaccel.strategies.controls import OBSERVERS
from tests.generators.flux import tiny
from tests.generators.hart import tiny as hart
from tests.strategies import pair

SMALLER: dict[str, dict[str, Any]] = {
    "speculative_neighbourhood": {"neighbours": 3, "distances": True},
    "collect": {"interval": 2, "first_enhance": 2},
    "handover": {"entry_num": 2},
    "code": {"draft_scales": 2},
}


@cache
def flux() -> Any:
    return tiny.built()


@cache
def var(depth: int) -> Any:
    return {2: pair.TARGET, 1: pair.DRAFT}[depth].build(pair.CPU)


def made(name: str) -> tuple[Any, Generation]:
    """A registered strategy, and a tiny generation with it."""
    cls = CONFIGURABLES["strategy"][name]
    options = SMALLER.get(name, {}) | {option: pair.DRAFT for option in cls.declares.beside}  # type: ignore[attr-defined]
    chosen = cls(**options)
    if chosen.declares.seam == "scales":
        models = {option: var(1) for option in chosen.declares.beside}
        return chosen, pair.generate(var(2), chosen, **models)
    return chosen, tiny.generate(flux(), chosen)


@pytest.mark.parametrize("name", CONFIGURABLES["strategy"])
def test_a_rule_tells_what_its_strategy_declares(name: str) -> None:
    chosen, generation = made(name)
    own = {"latents", "tokens", "f_hat"}
    assert set(generation.arrays) - own <= set(chosen.declares.arrays)
    assert set(generation.stats) <= set(chosen.declares.stats)
    needed = [stat for stat in chosen.declares.stats if stat.endswith("_runs")]
    assert set(needed) <= set(generation.stats), "what a price is made of is always told"


@pytest.mark.parametrize("name", [name for name, cls in CONFIGURABLES["strategy"].items() if cls.declares.seam == "scales"])  # type: ignore[attr-defined]
def test_what_attaches_to_scales_runs_on_every_model_that_offers_them(name: str) -> None:
    cls: Any = CONFIGURABLES["strategy"][name]
    chosen = cls(**SMALLER.get(name, {}) | {option: hart.DRAFT for option in cls.declares.beside})
    chosen.check(hart.TINY.steps)
    chosen.fits(hart.TINY, hart.PROMPTS)
    generation = hart.generate(hart.TINY, strategy=chosen)
    assert len(generation.kinds) == hart.TINY.steps
    assert set(generation.stats) <= set(cls.declares.stats)


@pytest.mark.parametrize("name", OBSERVERS)
def test_an_observer_tells_what_it_declares_and_changes_nothing(name: str) -> None:
    honest = tiny.MODES["taylor"](interval=3)
    watched = OBSERVERS[name](honest, honest)
    plain, seen = tiny.generate(flux(), honest), tiny.generate(flux(), watched)
    assert tiny.same(plain, seen) and set(seen.arrays) - {"latents"} == set(watched.declares.arrays)


class Complete(Alone):
    declares: ClassVar[Declares] = Declares(seam="denoise", exact=False)

    def check(self, steps: int) -> None:
        """Fits."""

    def plan(self, steps: int) -> list[str]:
        return ["full"] * steps

    def start(self, seam: Any, *, steps: int) -> None:
        """No rule."""


def register(*, without: str = "", **changed: Any) -> type:
    """A strategy under a name of its own, without one of its members or with others."""
    body = {name: value for name, value in vars(Complete).items() if not name.startswith("__") and name != without}
    bases = () if without in vars(Alone) else (Alone,)
    if not bases:
        body |= {name: value for name, value in vars(Alone).items() if not name.startswith("__") and name != without}
    return strategy(name="of_a_test")(dataclass(type("OfATest", bases, body | changed)))


@pytest.fixture(autouse=True)
def forgotten() -> Any:
    """Nothing that a test registers stays."""
    kept = {group: (dict(found), dict(found.homes)) for group, found in CONFIGURABLES.items()}
    yield
    for group, (things, homes) in kept.items():
        found = CONFIGURABLES[group]
        found.clear()
        found.update(things)
        found.homes = homes


@pytest.mark.parametrize("member", ["declares", "check", "plan", "start", "fits", "models", "macs", "state_bytes"])
def test_a_strategy_that_lacks_something_is_refused_by_name(member: str) -> None:
    with pytest.raises(TypeError, match=f"strategy of_a_test lacks {member}"):
        register(without=member)
    assert register().registered_as == "of_a_test"  # type: ignore[attr-defined]


def test_a_backend_that_lacks_something_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="backend of_a_test lacks check, macs, state_bytes, start"):
        backend(name="of_a_test")(dataclass(type("OfATest", (), {})))


def test_a_model_beside_is_an_option_and_comes_with_its_configuration() -> None:
    with pytest.raises(TypeError, match="of_a_test declares a model beside under draft, which is no option"):
        register(declares=Declares(seam="scales", exact=False, beside=("draft",)))
    with pytest.raises(TypeError, match=r"of_a_test declares models beside and lacks models\(\)"):
        register(declares=Declares(seam="scales", exact=False, beside=("draft",)), __annotations__={"draft": Any}, draft=None)


def test_a_name_stands_for_one_thing() -> None:
    with pytest.raises(TypeError, match=r"taylor is registered twice: by sdaccel\.strategies\.forecast\..*Taylor and by"):
        strategy(name="taylor")(dataclass(type("Taylor", (Complete,), {})))
    assert {field.name for field in fields(CONFIGURABLES["strategy"]["taylor"])} >= {"interval"}
    found: Named[int] = Named("thing")
    found.add("one", 1, home="here")
    found.add("one", 1, home="here")
    with pytest.raises(TypeError, match="thing one is registered twice: by here and by there"):
        found.add("one", 2, home="there")


def test_a_schema_alone_makes_no_strategy() -> None:
    with pytest.raises(TypeError, match="register strategy of_a_test with @strategy"):
        registry.configurable(group="strategy", name="of_a_test")


def test_models_reach_the_strategy_that_declares_them() -> None:
    chosen, generation = made("speculative_coupled")
    equipped = Equipped(chosen, {"draft": var(1)})
    assert equipped.declares is chosen.declares and chosen.declares.exact
    assert torch.equal(generation.arrays["tokens"], pair.generate(var(2), None).arrays["tokens"])
