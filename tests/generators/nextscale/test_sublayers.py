"""Laws of the sublayer seam on small real models: who answers with what was computed leaves no trace, and nothing is lost."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sdaccel.generators.nextscale.seam import Due, Kind, Sublayers
from sdaccel.generators.var.engine import ENGINES
from sdaccel.generators.var.engine_fast import FastLoop
from tests.strategies.speculative.pairs import TARGET, built

K, LAYERS = TARGET.steps, TARGET.depth
NOTHING = torch.zeros(1, dtype=torch.int64, device="meta")
LABELS, SEEDS = torch.tensor([1, 3, 0]), torch.tensor([7, 8, 9])
DOUBLE = replace(TARGET, dtype="float64")
ENGINE = [pytest.param(replace(TARGET, engine=e, dtype="bfloat16" if e == "autocast" else "float32"), id=e) for e in ENGINES]
BOTH = [pytest.param(replace(DOUBLE, engine=e), id=e) for e in ("eager", "fast")]


OWED: dict[str, Callable[[Due], object]] = {
    "keep": lambda due: due.keep_kv(),
    "drop": lambda due: due.drop_kv(),
    "neglect": lambda due: None,
}
"""What a sublayer that is not computed may do about keys and values."""


class Answers:
    """Computes every sublayer but those named, which answer with half of their input and do this about keys and values."""

    def __init__(self, reused: Mapping[tuple[int, Kind], str] | None = None) -> None:
        self.reused = dict(reused or {})
        self.seen: dict[tuple[int, Kind], Tensor] = {}

    @property
    def plan(self) -> Hashable:
        return tuple(self.reused.items())

    def sublayer(self, layer: int, kind: Kind, x: Tensor, due: Due) -> Tensor:
        self.seen[layer, kind] = x.clone()
        if (layer, kind) not in self.reused:
            return due.compute()
        OWED[self.reused[layer, kind]](due)
        return x / 2


class Reuse(Answers):
    """Those named answer at the third scale with the mean of what they were at the second, which it holds."""

    def __init__(self, reused: Mapping[tuple[int, Kind], str], like: Tensor) -> None:
        super().__init__(reused)
        with torch.inference_mode(False):
            self.slots = {place: torch.zeros_like(like) for place in reused}

    def sublayer(self, layer: int, kind: Kind, x: Tensor, due: Due) -> Tensor:
        place, rows = (layer, kind), x.shape[1]
        if place not in self.reused or rows not in (4, 9):
            return due.compute()
        if rows == 4:
            y = due.compute()
            self.slots[place].copy_(y.mean(1, keepdim=True))
            return y
        OWED[self.reused[place]](due)
        return self.slots[place].repeat(1, rows, 1)


def run(config: Any, answers: Mapping[int, Sublayers]) -> Any:
    """A generation whose scales are answered for by these."""
    loop: Any = built(config).start(LABELS, SEEDS)
    for k in range(K):
        loop.full(k, sublayers=answers.get(k))
    return loop


def finish(loop: Any) -> tuple[Tensor, Tensor, Tensor]:
    made = loop.finish()
    return made.tokens, made.f_hats, made.images


@pytest.mark.parametrize("config", ENGINE)
@torch.no_grad()
def test_computing_every_sublayer_is_running_without_the_seam_bit_for_bit(config: Any) -> None:
    plain = finish(run(config, {}))
    for scales in (range(K), (1, 3)):
        answers = Answers()
        assert all(torch.equal(a, b) for a, b in zip(finish(run(config, dict.fromkeys(scales, answers))), plain, strict=True))
        assert list(answers.seen) == [(layer, kind) for layer in range(LAYERS) for kind in ("attn", "ffn")]


@pytest.mark.parametrize("config", ENGINE)
@pytest.mark.parametrize("at", [(0, "attn"), (0, "ffn"), (1, "attn")], ids=str)
@torch.no_grad()
def test_a_reused_sublayer_changes_its_scale_from_there_on_and_nothing_before(config: Any, at: tuple[int, Kind]) -> None:
    honest, forced, later = Answers(), Answers({at: "keep"}), Answers()
    plain, other = run(config, {2: honest}), run(config, {2: forced, 3: later})
    order = list(honest.seen)
    for place in order:
        assert torch.equal(honest.seen[place], forced.seen[place]) == (order.index(place) <= order.index(at))
    tokens = [finish(loop)[0].split(TARGET.layout.lengths(), 1) for loop in (plain, other)]
    equal = [torch.equal(a, b) for a, b in zip(*tokens, strict=True)]
    assert equal[:2] == [True, True] and not all(equal[2:])


@pytest.mark.parametrize("config", BOTH)
@torch.no_grad()
def test_a_reused_attention_leaves_the_keys_and_values_that_computing_it_would_have_left(config: Any) -> None:
    plain, kept = run(config, {}), run(config, {2: Answers({(0, "attn"): "keep"})})
    kv, own = plain.run.kv, kept.run.kv
    assert own.lengths == kv.lengths == [TARGET.layout.row_start(K)] * LAYERS
    until = TARGET.layout.row_start(3)
    for ours, theirs in ((own.keys, kv.keys), (own.values, kv.values)):
        assert (ours[0, :, :, :until] - theirs[0, :, :, :until]).abs().max() < 1e-12
        assert not torch.equal(ours[1, :, :, :until], theirs[1, :, :, :until]), "what lies behind it reads another input"


@pytest.mark.parametrize("config", ENGINE)
@pytest.mark.parametrize("layers", [(0,), (0, 1)], ids=["one", "all"])
@torch.no_grad()
def test_an_attention_that_forgets_its_keys_and_values_stops_the_next_scale(config: Any, layers: tuple[int, ...]) -> None:
    """The mutant of the law above."""
    loop: Any = built(config).start(LABELS, SEEDS)
    for k in range(2):
        loop.full(k)
    loop.full(2, sublayers=Answers({(layer, "attn"): "neglect" for layer in layers}))
    with pytest.raises((RuntimeError, ValueError), match=r"different numbers of positions|the cache holds 5"):
        loop.full(3)


@pytest.mark.parametrize("config", ENGINE)
@torch.no_grad()
def test_dropped_keys_and_values_are_seen_by_no_later_scale(config: Any) -> None:
    kept, dropped = (run(config, {2: Answers({(1, "attn"): how})}) for how in ("keep", "drop"))
    layout = TARGET.layout
    assert dropped.run.kv.lengths == [layout.row_start(K), layout.row_start(K) - layout.rows(2)]
    assert dropped.run.kv.length == layout.row_start(K)
    with pytest.raises(ValueError, match="a layer dropped some"):
        dropped.truncate(1)
    parts = [finish(loop)[0].split(layout.lengths(), 1) for loop in (kept, dropped)]
    assert [torch.equal(a, b) for a, b in zip(*parts, strict=True)] == [True, True, True, False]


@pytest.mark.parametrize("how", ["keep", "drop"])
@torch.no_grad()
def test_in_float64_fast_answers_as_eager_does(how: str) -> None:
    def answers() -> dict[int, Sublayers]:
        return {
            1: Answers({(1, "attn"): how}),
            2: Answers({(0, "ffn"): "keep"}),
            3: Answers({(0, "attn"): how, (1, "ffn"): "keep"}),
        }

    eager, fast = (finish(run(replace(DOUBLE, engine=engine), answers())) for engine in ("eager", "fast"))
    assert torch.equal(eager[0], fast[0])
    assert (eager[1] - fast[1]).abs().max() < 1e-11


class Recording:
    """Stands for `Graphs` where there is no GPU: a key's first call is what is run ever after."""

    def __init__(self) -> None:
        self.recorded: dict[Hashable, Callable[[], None]] = {}

    def run(self, key: Hashable, call: Callable[[], None]) -> None:
        self.recorded.setdefault(key, call)()


@torch.no_grad()
def test_plans_have_records_of_their_own_and_a_generation_without_any_has_one_per_scale() -> None:
    loop: Any = built(replace(DOUBLE, engine="fast")).start(LABELS, SEEDS)
    assert isinstance(loop, FastLoop)
    graphs: Any = Recording()
    loop.graphs = graphs

    def generate(answers: dict[int, Sublayers]) -> Tensor:
        loop.start(LABELS, SEEDS, DOUBLE.sampling)
        for k in range(K):
            loop.full(k, sublayers=answers.get(k))
        return loop.finish().tokens

    plain = generate({})
    assert len(graphs.recorded) == K + 2, "the scales, load and decode"
    dropping: dict[int, Sublayers] = {2: Answers({(1, "attn"): "drop"})}
    other = generate(dropping)
    assert len(graphs.recorded) == K + 4, "scale 2 under the plan, and scale 3 behind what it dropped"
    assert torch.equal(generate({}), plain) and torch.equal(generate(dropping), other) and not torch.equal(other, plain)
    assert len(graphs.recorded) == K + 4


@torch.no_grad()
def test_records_serve_later_generations_of_the_same_plan() -> None:
    """Whoever asks later is not asked: what was recorded works on the memory of the first, and that from scale to scale."""
    reused: dict[tuple[int, Kind], str] = {(1, "attn"): "drop", (0, "ffn"): "keep"}
    like = torch.zeros(6, 1, 64 * LAYERS, dtype=torch.float64)
    loop: Any = built(replace(DOUBLE, engine="fast")).start(LABELS, SEEDS)
    loop.graphs = Recording()
    for seeds in (SEEDS, SEEDS + 5, SEEDS):
        loop.start(LABELS, seeds, DOUBLE.sampling)
        eager: Any = built(DOUBLE).start(LABELS, seeds)
        for some in (loop, eager):
            answers = Reuse(reused, like)
            for k in range(K):
                some.full(k, sublayers=answers)
        assert torch.equal(loop.finish().tokens, eager.finish().tokens)


@pytest.mark.parametrize("reused", [("attn",), ("ffn",), ("attn", "ffn")], ids=str)
def test_the_price_of_sublayers_is_what_reusing_them_saves(reused: tuple[Kind, ...]) -> None:
    cost, runtime = TARGET.cost(), TARGET.build(torch.device("meta"))
    blocks = [cost.layers * (one.attn + one.ffn) for one in cost.sublayers]
    assert cost.layers == LAYERS and all(0 < inside < whole for inside, whole in zip(blocks, cost.macs, strict=True))

    def macs(sublayers: Sublayers | None) -> float:
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            loop = runtime.start(NOTHING, NOTHING)
            for k in range(K):
                loop.full(k, sublayers=sublayers if k == 2 else None)
        return counter.get_total_flops() / 2

    at_2 = cost.sublayers[2]
    saved = {"attn": at_2.attn - at_2.keys_values, "ffn": at_2.ffn}
    assert macs(None) == sum(cost.macs)
    assert macs(Answers({(1, kind): "keep" for kind in reused})) == sum(cost.macs) - sum(saved[kind] for kind in reused)
