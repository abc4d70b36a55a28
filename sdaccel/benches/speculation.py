"""What the parts of speculation cost, and whether they add up: `python experiments/bench.py +bench=speculation`.

Cases time whole generations, decoder included: the target, the target on an engine that never met a strategy (a strategy leaves
no trace if both take the same time), and the target with its draft under coupled speculation; beside them the draft's scales.
Parts are those that `Speculation` runs, each in turn on one generation that holds every scale: proposals, passes of the target
over several scales, verdicts, painting; beside them the target alone at a scale, taken back and redone. Target and draft share
a tokenizer.

The check is on a trained pair, one image at a time: the sum of parts, for the rounds that the run's own counts tell, beside the
time that the run took.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import torch

from sdaccel.benches.base import Cases, compare, listed, with_floor
from sdaccel.benches.var_engine import work
from sdaccel.conditions import Batch, batches
from sdaccel.errors import BadInput, at_least
from sdaccel.generators.base import torch_dtype
from sdaccel.generators.var.engine_fast import Fast
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.measure.floor import Work, ceilings
from sdaccel.measure.timing import Rounds, interleaved, summary
from sdaccel.registry import configurable
from sdaccel.strategies.base import Equipped
from sdaccel.strategies.speculative.coupled import Coupled
from sdaccel.strategies.speculative.decode import Speculation
from sdaccel.strategies.speculative.expectation import cost_of, prices_of, rounds_from_runs
from sdaccel.strategies.speculative.gammas import Fixed
from sdaccel.strategies.two_models import check_beside

Calls = dict[str, Callable[[], Any]]

GAMMA = 2
"""Scales proposed at once in the timed generations."""
TARGET, COUPLED, DRAFT, UNTOUCHED = "target", f"coupled, gamma={GAMMA}", "draft, not decoded", "target, untouched"
"""Arms."""


@configurable(group="bench", name="speculation")
@dataclass(frozen=True, kw_only=True)
class SpeculationCosts:
    """The benchmark; the generator is the target."""

    draft: Any = None
    """A config of the generator group, held and computed as the target is."""
    checked_target: Any = None
    """The pair of the check, which runs on the target's engine."""
    checked_draft: Any = None
    checked_images: int = 4
    gammas: list[int] = field(default_factory=lambda: [1, 2, 3, 4])
    batch_sizes: list[int] = field(default_factory=lambda: [1])
    repeats: int = 10
    warmup: int = 3

    question: ClassVar[str] = "What do the parts of speculation cost, and which acceptance would pay for them?"
    figures: ClassVar[Sequence[str]] = ("speculation_bound", "bench_times")

    def check(self, generator: Any) -> None:
        if not isinstance(generator, Var):
            raise BadInput(f"bench=speculation needs a VAR, not {type(generator).__name__}; set generator=var_d30.")
        for name, target, draft in (
            ("draft", generator, self.draft),
            ("checked_draft", self._checked(generator), self.checked_draft),
        ):
            target.check([0])
            try:
                check_beside(name, draft, target)
                draft.beside(target).check([0])
            except BadInput as error:
                raise BadInput(str(error).replace("strategy.", "bench.")) from None
            Coupled(draft=draft, gamma=max(self.gammas)).check(target.steps)
            Coupled(draft=draft).fits(target, [0])
        listed(self, "batch_sizes", "gammas")
        at_least(1, self, "repeats", "checked_images", where="bench")

    def _checked(self, generator: Var) -> Var:
        if not isinstance(self.checked_target, Var):
            raise BadInput("bench.checked_target is no VAR; write generator@bench.checked_target=var_mini_target.")
        return replace(self.checked_target, engine=generator.engine)

    def work(self, generator: Var) -> Cases:
        """The floor is that of the target alone."""
        return {f"batch {size}": work(generator, size) for size in self.batch_sizes}

    @torch.no_grad()
    def run(self, generator: Var, device: torch.device) -> dict[str, Any]:
        dtype = torch_dtype(generator.dtype)
        before = ceilings(device, dtype)
        pair, measured, parts, turns = Pair(generator, self.draft, device), {}, {}, {}
        for size in self.batch_sizes:
            batch = batches([i % generator.num_classes for i in range(size)], seed=0, size=size)[0]
            measured[f"batch {size}"] = self._whole(pair, batch)
            calls = Parts(pair, batch).calls(max(self.gammas))
            found = interleaved(calls, warmup=self.warmup, repeats=self.repeats, device=device)
            parts[f"batch {size}"] = priced(found)
            turns[f"batch {size}"] = found.order
            del calls
            pair.forget()
        del pair
        ceiling = before.raised(ceilings(device, dtype))
        floors = {f"batch {size}": self._floors(generator, size) for size in self.batch_sizes}
        cases = {case: with_floor(found, floors[case], ceiling) for case, found in measured.items()}
        fit = self._fit(Pair(self._checked(generator), self.checked_draft, device))
        return {"ceilings": asdict(ceiling), "cases": cases, "parts": parts, "parts_order": turns, "fit": fit}

    def _floors(self, generator: Var, size: int) -> dict[str, list[Work]]:
        """Of coupled speculation none: what it cannot do without depends on what is accepted."""
        target, draft = (work(model, size) for model in (generator, self.draft.beside(generator)))
        return {TARGET: target, UNTOUCHED: target, DRAFT: draft[:-1]}  # no decoder

    def _whole(self, pair: "Pair", batch: Batch) -> dict[str, Any]:
        """Whole generations; the memory of a pair is that of both models and their one tokenizer."""
        untouched = VarRuntime(pair.config, pair.target.var, pair.target.vae)
        calls: Calls = {
            TARGET: partial(generation, pair.target, batch),
            COUPLED: lambda: pair.speculate(batch, gamma=GAMMA),
            DRAFT: lambda: pair.sketch(batch),
            UNTOUCHED: partial(generation, untouched, batch),
        }

        def target() -> Callable[[], Any]:
            return partial(generation, pair.config.build(pair.device), batch)

        def both() -> Callable[[], Any]:
            return partial(Pair(pair.config, self.draft, pair.device).speculate, batch, gamma=GAMMA)

        alone = {TARGET: target, COUPLED: both}
        found = compare(calls, alone=alone, device=pair.device, warmup=self.warmup, repeats=self.repeats)
        for arm in found["arms"].values():
            arm["images"] = len(batch)
        return found

    def _fit(self, pair: "Pair") -> dict[str, Any]:
        """The sum of parts beside the clock, image by image; parts and whole generations take turns."""
        labels = [i % pair.config.num_classes for i in range(self.checked_images)]
        images = {f"image {i}": batch for i, batch in enumerate(batches(labels, seed=0, size=1))}
        runs = {name: pair.speculate(batch, gamma=GAMMA).stats["target_runs"][0].tolist() for name, batch in images.items()}
        parts = Parts(pair, images["image 0"]).calls(GAMMA)
        whole: Calls = {name: partial(pair.speculate, batch, gamma=GAMMA) for name, batch in images.items()}
        timed = interleaved(parts | whole, warmup=self.warmup, repeats=self.repeats, device=pair.device)
        p50 = {name: rounds["p50"] for name, rounds in priced(timed).items()}
        prices = prices_of({name: p50[name] for name in parts})
        predicted = {name: cost_of(prices, rounds_from_runs(runs[name], gamma=GAMMA)) for name in images}
        return {
            "gamma": GAMMA,
            "images": {name: {"predicted": predicted[name], "measured": p50[name]} for name in images},
            "predicted": sum(predicted.values()),
            "measured": sum(p50[name] for name in images),
            "order": timed.order,
            "timed": priced(timed),
        }


def priced(found: Rounds) -> dict[str, dict[str, Any]]:
    """Parts with every round of theirs."""
    return {name: summary(rounds) | {"rounds": rounds} for name, rounds in found.seconds.items()}


def generation(runtime: VarRuntime, batch: Batch) -> None:
    """A picture by this model alone, decoded."""
    runtime.generate(batch, backend=None, strategy=None)


class Pair:
    """Target and draft on one device and one tokenizer."""

    def __init__(self, target: Var, draft: Var, device: torch.device) -> None:
        self.config, self.draft_config, self.device = target, draft.beside(target), device
        self.target = target.build(device)
        self.draft = VarRuntime(self.draft_config, self.draft_config.build(device).var, self.target.vae)
        gc.collect()  # the draft's own copy of the tokenizer

    def speculate(self, batch: Batch, *, gamma: int) -> Any:
        """A generation; its tokens are those of the target alone."""
        strategy = Equipped(Coupled(draft=self.draft_config, gamma=gamma), {"draft": self.draft})
        return self.target.generate(batch, backend=None, strategy=strategy)

    def sketch(self, batch: Batch) -> None:
        """The draft's scales without a picture, which would be the target's decoder again."""
        loop = self.draft.start(torch.tensor(batch.conditions, device=self.device), batch.seeds.to(self.device))
        for k in range(self.config.steps):
            loop.full(k)
        loop.release()

    def forget(self) -> None:
        """Give back the memory of batch shapes."""
        for runtime in (self.target, self.draft):
            if isinstance(runtime.engine, Fast):
                runtime.engine.forget()
        gc.collect()


class Parts:
    """A generation that holds every scale, of which any part may be run again and again."""

    def __init__(self, pair: Pair, batch: Batch) -> None:
        self.pair, self.batch = pair, batch
        self.loop: Any
        self.loop, self.draft = self._start()
        rows = len(batch)
        self.rows = list(range(rows))
        judge = Coupled(draft=pair.draft_config).judge
        self.speculation = Speculation(self.loop, self.draft, judge=judge, gammas=[Fixed(1)] * rows, distances=False)
        self.scales = pair.config.steps
        for k in range(self.scales):
            self.loop.full(k)
        self.states = list(self.loop.canvas.states)
        for k in range(self.scales):
            self.propose(k, k)
        self.seen = [self.speculation._pass(self.loop, self.rows, first=k, last=k)[k] for k in range(self.scales)]
        self.own = [self.loop.draw(said, k) for k, said in enumerate(self.seen)]

    def calls(self, gamma: int) -> Calls:
        """Every part of proposals up to gamma by its name, as `prices_of` reads them; `rollback k` is the target alone."""
        last, out = self.scales - 1, Calls()
        for k in range(self.scales):
            for end in range(k, min(k + gamma, last) + 1):  # near the last scale fewer are proposed
                out[f"verify {k}-{end}"] = partial(self.verify, k, end)
            out[f"bonus {k}"] = partial(self.bonus, k)
            out[f"rollback {k}"] = partial(self.rollback, k)
        for k in range(last):
            for first in (k, k - 1) if k else (k,):
                out[f"draft {first}-{k}"] = partial(self.propose, first, k)
            out[f"judge {k}"] = partial(self.judge, k)
            out[f"repaint {k}"] = partial(self.repaint, k)
        return out | {"fixed": self.fixed}

    def propose(self, first: int, k: int) -> None:
        self.speculation._propose(k, self.rows, first=first)

    def verify(self, first: int, last: int) -> None:
        self.speculation._pass(self.loop, self.rows, first=first, last=last)
        self.speculation.ledger.passed(self.rows, first=first, last=last)

    def judge(self, k: int) -> None:
        """Judge the target's own tokens: they stand, so nothing is painted."""
        said = self.seen[k]
        drafted = self.speculation._drafted(k, self.rows, self.own[k][0], said, said)
        self.speculation._judge(k, self.rows, self.rows, drafted)

    def bonus(self, k: int) -> None:
        self.speculation._set(k, self.rows, self.rows, *self.loop.draw(self.seen[k], k))

    def repaint(self, k: int) -> None:
        self.speculation._set(k, self.rows, self.rows, *self.own[k])

    def rollback(self, k: int) -> None:
        """Take back every scale from k on, redo k, and stand again where all parts find what they read."""
        end = self.loop.canvas.layout.row_start(self.scales)
        self.loop.run.kv.seek(end)
        self.loop.truncate(k)
        self.loop.full(k)
        self.loop.canvas.states.extend(self.states[len(self.loop.canvas.states) :])
        self.loop.run.kv.seek(end)

    def fixed(self) -> None:
        """A generation without its scales: two starts, one picture."""
        loop, draft = self._start()
        draft.release()
        loop.paint(0, *self.own[0])
        loop.finish()

    def _start(self) -> tuple[Any, Any]:
        device = self.pair.device
        labels, seeds = torch.tensor(self.batch.conditions, device=device), self.batch.seeds.to(device)
        return self.pair.target.start(labels, seeds), self.pair.draft.start(labels, seeds)
