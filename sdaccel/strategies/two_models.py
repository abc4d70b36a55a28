"""How a strategy gets a second model: an option that holds a generator's config, and one built model per run beside the target.

The YAML brings the config in, `/generator/var_mini_draft@draft` in its defaults list, so that an arm may say
`draft: var_mini_draft_distilled` and the command line `generator@strategy.draft=NAME`. A run builds the model on the target's
device, hashes it into the arm's identity, prices it, and hands it to `start`:

    def start(self, seam, *, steps, models):
        draft = models["draft"].start(seam.condition, seam.seeds)     # a generation of its own, on the target's noise
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.errors import BadInput
from sdaccel.generators.base import Cost
from sdaccel.generators.nextscale.seam import DecodingRule, ScaleSeam
from sdaccel.registry import name_of
from sdaccel.strategies.base import Alone, Declares, Done

RUNS = ("target_runs", "draft_runs")
"""Names of the stats (B, K) that count how often target and draft computed each scale for a sample."""


class Model(Protocol):
    """A built next-scale generator."""

    def start(self, condition: Any, seeds: Tensor) -> ScaleSeam: ...


@dataclass(frozen=True, kw_only=True)
class TwoModels(Alone):
    """Options and prices that strategies with a draft share."""

    draft: Any = None
    """The second model: a config of the generator group. It is sampled, held and computed as the target is."""

    declares: ClassVar[Declares] = Declares(seam="scales", exact=False, beside=("draft",), stats=RUNS)

    def models(self, target: Any) -> dict[str, Any]:
        """Configs of the models that run beside this target, by name."""
        return {"draft": self.draft.beside(target)}

    def fits(self, target: Any, conditions: Sequence[Condition]) -> None:
        """Both speak of the same scales in the same tokens."""
        check_beside("draft", self.draft, target)

    def start(self, seam: ScaleSeam, *, steps: int, models: Mapping[str, Model]) -> DecodingRule:
        """The rule of one generation, with the built models."""
        raise NotImplementedError

    def macs(self, done: Done) -> float:
        return macs_of_runs(dict(zip(RUNS, (done.cost, done.beside["draft"]), strict=True)), done.stats)


def macs_of_runs(costs: Mapping[str, Cost], stats: Mapping[str, Any]) -> float:
    """Every scale as often as each model computed it; `costs` by the name of the stat that counts a model's runs."""
    return sum(n * macs for name, cost in costs.items() for n, macs in zip(stats[name], cost.macs, strict=True))


def check_beside(name: str, model: Any, target: Any) -> None:
    """Raise BadInput for an option `strategy.NAME` that holds no model, or one that cannot run beside this target."""
    option = f"strategy.{name}"
    if not hasattr(model, "beside"):
        raise BadInput(f"{option} is no next-scale generator; write generator@{option}=var_mini_draft.")
    if name_of(model) != name_of(target):
        raise BadInput(f"{option} is a {name_of(model)} and generator a {name_of(target)}; choose two of one kind.")
    model = model.beside(target)
    for (what, (ours, why)), (theirs, _) in zip(model.agrees().items(), target.agrees().values(), strict=True):
        if ours != theirs:
            raise BadInput(f"{option}.{what}={ours} and generator.{what}={theirs} differ: {why}; choose another model.")
    if model.tokenizer() != target.tokenizer():
        raise BadInput(
            f"{option}.vae_weights={model.vae_weights} and generator.vae_weights={target.vae_weights} are two tokenizers: "
            "equal tokens would paint different canvases; give both the same file."
        )
