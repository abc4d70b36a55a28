"""Laws of drafting and judging scales, on small real models: what must come out whatever is drafted."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation
from sdaccel.generators.nextscale.seam import Pass
from sdaccel.generators.var.generator import Var
from sdaccel.strategies.speculative import base
from sdaccel.strategies.speculative.base import Speculative
from sdaccel.strategies.speculative.coupled import Coupled
from sdaccel.strategies.speculative.decode import Speculation
from sdaccel.strategies.speculative.divergence import Divergence
from sdaccel.strategies.speculative.judge import Acceptance, Drafted
from sdaccel.strategies.speculative.neighbourhood import Neighbourhood
from sdaccel.strategies.speculative.rejection import Rejection
from sdaccel.strategies.speculative.top1 import Top1
from sdaccel.strategies.speculative.topk import TopK
from tests.strategies.speculative.pairs import DRAFT, SIDES, TARGET, batch, generate

K = len(SIDES)
OFFSETS = [TARGET.layout.token_start(k) for k in range(K + 1)]
DOUBLE = replace(TARGET, dtype="float64")
DRAFTS = {
    "shallow": DRAFT,
    "other": replace(TARGET, depth=3, shared_aln=True),
    "untrained": replace(TARGET, init_unit_scale=False),
}
RULES = [Coupled, Rejection, Divergence, Neighbourhood, TopK, Top1]
IDENTICAL = [Coupled, Rejection, Divergence, Neighbourhood]
"""Rules under which a draft that is the target always stands; top1 and topk compare a draw with the likeliest codes."""
LABELS = [1, 2, 3, -1]


@dataclass(frozen=True, kw_only=True)
class Falls(Speculative):
    """A draft stands but at some scales, for all rows, or given as 10 * (seed - 8) + scale: what is rejected is known."""

    at: tuple[int, ...]
    all_rows: bool = True

    def judge(self, drafted: Drafted) -> Acceptance:
        scale, rows = OFFSETS.index(drafted.start), range(len(drafted.seeds))
        stood = [(scale if self.all_rows else 10 * int(drafted.seeds[row] - 8) + scale) not in self.at for row in rows]
        return Acceptance(torch.tensor(stood), lambda: drafted.own)


def same_tokens(a: Generation, b: Generation) -> bool:
    return torch.equal(a.arrays["tokens"], b.arrays["tokens"])


@pytest.mark.parametrize("policy", ["fixed", "seed", "adaptive"])
@pytest.mark.parametrize("rule", IDENTICAL)
@pytest.mark.parametrize("engine", ["eager", "fast"])
def test_a_draft_that_is_the_target_always_stands_and_changes_nothing(rule: Any, policy: str, engine: str) -> None:
    target = replace(DOUBLE, engine=engine)
    of = batch(LABELS, 3)
    plain = generate(target, of)
    for gamma in (1, 3):
        made = generate(target, of, rule(draft=target, gamma=gamma, policy=policy))
        assert same_tokens(made, plain)
        assert (made.images - plain.images).abs().max() < 1e-6
        assert torch.equal(made.stats["accepted"], made.stats["drafted"])
        assert made.stats["target_calls"].tolist() == [{1: 2, 3: 1}[gamma]] * 4 or policy == "adaptive"


def test_sdvars_rule_rejects_a_draft_that_is_the_target() -> None:
    made = generate(DOUBLE, batch(LABELS, 3), Top1(draft=DOUBLE, gamma=3))
    assert (made.stats["accepted"] < made.stats["drafted"]).any()


@pytest.mark.parametrize(("draft", "policy"), [("shallow", "fixed"), ("other", "seed"), ("untrained", "adaptive")])
@pytest.mark.parametrize("options", [{}, {"cfg": 4.0, "top_k": 6}, {"shared_aln": True, "engine": "fast"}], ids=str)
def test_coupled_draws_the_targets_own_samples_whatever_the_draft(draft: str, policy: str, options: dict[str, Any]) -> None:
    target = replace(DOUBLE, **options)
    for labels, seed in (([1], 4), (LABELS, 11), ([2, 2, 0], 30)):
        of = batch(labels, seed)
        plain = generate(target, of)
        for gamma in (1, 2, 3):
            made = generate(target, of, Coupled(draft=DRAFTS[draft], gamma=gamma, policy=policy, costs="compute_bound"))
            assert same_tokens(made, plain)
            assert (made.arrays["f_hat"] - plain.arrays["f_hat"]).abs().max() < 1e-11
            assert (made.stats["target_calls"] <= K).all()


@pytest.mark.parametrize("engine", ["eager", "fast"])
@pytest.mark.parametrize("at", [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)], ids=str)
def test_what_is_taken_back_and_redone_at_any_scale_is_as_if_never_drafted(at: tuple[int, ...], engine: str) -> None:
    target, of = replace(DOUBLE, engine=engine), batch(LABELS, 8)
    plain = generate(target, of)
    for gamma in (1, 2, 3):
        made = generate(target, of, Falls(draft=target, gamma=gamma, at=at))
        assert same_tokens(made, plain)
        assert (made.arrays["f_hat"] - plain.arrays["f_hat"]).abs().max() < 1e-11
        assert made.stats["accepted"].max() < 3


@pytest.mark.parametrize("gamma", [1, 2, 3])
def test_a_draft_that_never_stands_costs_no_call_more_than_the_target_alone(gamma: int) -> None:
    of = batch(LABELS, 8)
    made = generate(DOUBLE, of, Falls(draft=DRAFT, gamma=gamma, at=(0, 1, 2)))
    assert same_tokens(made, generate(DOUBLE, of))
    assert made.stats["target_calls"].tolist() == [K] * 4
    assert made.stats["accepted"].sum() == 0


def test_a_draft_that_always_stands_makes_all_but_the_last_scale() -> None:
    of = batch(LABELS, 8)
    made, drafted = (
        generate(DOUBLE, of, Top1(draft=DRAFT, gamma=K - 1, threshold=0)),
        generate(replace(DRAFT, dtype="float64"), of),
    )
    assert torch.equal(made.arrays["tokens"][:, : OFFSETS[-2]], drafted.arrays["tokens"][:, : OFFSETS[-2]])
    assert not torch.equal(made.arrays["tokens"][:, OFFSETS[-2] :], drafted.arrays["tokens"][:, OFFSETS[-2] :])
    assert made.stats["target_calls"].tolist() == [1] * 4


@pytest.mark.parametrize("engine", ["eager", "fast"])
@pytest.mark.parametrize("first", range(K - 1))
def test_behind_the_first_rejection_both_caches_hold_what_the_canvas_says(first: int, engine: str) -> None:
    """Draft and target disagree, so a stale key or a stale map would show: in the logits of all scales that follow."""
    target, seen = replace(DOUBLE, engine=engine), {}

    class Watched(Speculation):
        def _pass(self, model: Any, rows: list[int], *, first: int, last: int) -> dict[int, Pass]:
            out = super()._pass(model, rows, first=first, last=last)
            for k, said in out.items():
                seen[model is self.seam, k] = said.logits
            return out

    made = _with(Watched, target, batch([1, 3], 5), Falls(draft=DRAFT, gamma=3, at=(first,)))
    for role, model in ((True, target), (False, replace(DRAFT, dtype="float64", engine=engine))):
        loop = _painted(model, made.arrays["tokens"], batch([1, 3], 5))
        fresh = loop.guided(loop.canvas.inputs_of(0, K - 1), first=0, last=K - 1).split(TARGET.layout.lengths())
        for k in range(K):
            if (role, k) in seen:
                assert (seen[role, k] - fresh[k].logits).abs().max() < 1e-10, (role, k)


@torch.no_grad()
def _painted(config: Var, tokens: Tensor, of: Batch) -> Any:
    from tests.strategies.speculative.pairs import built

    loop = built(config).start(torch.tensor(of.conditions), of.seeds)
    for k in range(K):
        part = tokens[:, OFFSETS[k] : OFFSETS[k + 1]]
        loop.paint(k, part, loop.codebook[part])
    return loop


def _with(decoder: type[Speculation], target: Var, of: Batch, strategy: Speculative) -> Generation:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "Speculation", decoder)
        return generate(target, of, strategy)


RAGGED = (0, 12, 21, 22, 30, 31, 32)
"""Row 0 falls at scale 0, row 1 at 2, row 2 at 1 and 2, row 3 everywhere."""


@pytest.mark.parametrize("engine", ["eager", "fast"])
def test_rows_that_part_ways_do_not_meet(engine: str) -> None:
    target, of = replace(DOUBLE, engine=engine), batch(LABELS, 8)
    plain = generate(target, of)
    made = generate(target, of, Falls(draft=target, gamma=3, at=RAGGED, all_rows=False))
    assert same_tokens(made, plain)
    assert made.stats["target_calls"].tolist() == [2, 2, 3, 4]
    assert made.stats["accepted"].tolist() == [2, 2, 1, 0]


def test_the_last_bits_of_a_row_are_its_own_although_it_waits_for_others() -> None:
    """Soft codes carry every bit of the logits to the canvas."""
    smooth, strategy = replace(TARGET, more_smooth=True), Falls(draft=DRAFT, gamma=3, at=RAGGED, all_rows=False)
    of = batch(LABELS, 8)
    alone = replace(of, conditions=(2,) * 4, seeds=of.seeds[1:2].expand(4))  # no row waits for another
    rows = [generate(smooth, each, strategy).arrays["f_hat"][1] for each in (of, alone)]
    assert torch.equal(*rows)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("engine", ["eager", "fast"])
def test_the_bits_of_a_sample_do_not_depend_on_what_the_other_rows_hold(rule: Any, engine: str) -> None:
    """Other rows are rejected elsewhere, so groups differ; a resumed run must end in the same hashes."""
    target, strategy = replace(TARGET, engine=engine), rule(draft=DRAFT, gamma=2)
    of, seeds = batch([1, 2, 3], 8), torch.tensor([90, 9, 70])
    other = replace(of, conditions=(4, 2, -1), seeds=seeds)
    a, b = (generate(target, each, strategy) for each in (of, other))
    assert torch.equal(a.arrays["f_hat"][1], b.arrays["f_hat"][1])
    assert torch.equal(a.images[1], b.images[1])
    assert {name: v[1].tolist() for name, v in a.stats.items()} == {name: v[1].tolist() for name, v in b.stats.items()}
    assert not torch.equal(a.images[0], b.images[0])


@pytest.mark.parametrize("rule", RULES)
def test_the_record_of_a_sample_adds_up(rule: Any) -> None:
    stats = generate(TARGET, batch(LABELS, 8), rule(draft=DRAFT, gamma=3, distances=True)).stats
    assert torch.equal(stats["accepted"] + stats["wasted"], stats["drafted"])
    assert (stats["target_runs"] >= 1).all()
    assert (stats["draft_runs"][:, -1] == 0).all()  # the last scale is never drafted
    assert torch.equal(stats["target_calls"], stats["target_runs"].amax(1)) or rule is not Coupled
    judged = ~stats["stood"].isnan()
    assert torch.equal(judged, ~stats["tv"].isnan())
    assert torch.equal(stats["stood"].nan_to_num(0).sum(1).long(), stats["accepted"])
    for name in ("match", "same", "tv"):
        assert stats[name][judged].clamp(0, 1).equal(stats[name][judged])


def test_distances_of_a_model_to_itself_are_nothing() -> None:
    stats = generate(DOUBLE, batch(LABELS, 8), Coupled(draft=DOUBLE, gamma=3, distances=True)).stats
    assert (stats["tv"][:, :3] < 1e-9).all() and (stats["kl"][:, :3] < 1e-9).all()
    assert (stats["same"][:, :3] == 1).all()


def test_relaxed_rules_paint_soft_codes_when_asked_to() -> None:
    smooth = replace(DOUBLE, more_smooth=True)
    of = batch(LABELS, 8)
    plain = generate(smooth, of)
    made = generate(smooth, of, Divergence(draft=smooth, gamma=2))
    assert same_tokens(made, plain)
    assert (made.arrays["f_hat"] - plain.arrays["f_hat"]).abs().max() < 1e-8


def test_those_furthest_behind_go_first_so_that_no_state_is_computed_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A round computes the whole batch: samples that part ways and meet again share one."""
    rounds, sizes = list[tuple[int, int, int]](), list[int]()
    original = Speculation._round

    def noted(self: Speculation, rows: list[int], scale: int, gamma: int, cached: int) -> None:
        rounds.append((scale, gamma, cached))
        sizes.append(len(rows))
        original(self, rows, scale, gamma, cached)

    monkeypatch.setattr(Speculation, "_round", noted)
    generate(TARGET, batch([i % 4 for i in range(32)], 7), Top1(draft=DRAFT, gamma=2, threshold=0.2))
    assert min(sizes) < 32, "some should part ways"
    assert len(set(rounds)) == len(rounds)
