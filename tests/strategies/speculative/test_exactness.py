"""Rejection keeps the target's joint distribution, and coupling its own samples up to races that rounding decides.

The joint distribution is enumerated: every first token, and the target's exact probabilities of the scale behind it.
"""

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sdaccel.benches.agreement import Difference, compare
from sdaccel.conditions import Batch
from sdaccel.generators.nextscale.seam import Pass, ScaleSeam
from sdaccel.generators.var.generator import Var
from sdaccel.kernels.race import knobs
from sdaccel.noise import Stream, sample_seeds
from sdaccel.strategies.speculative import base, rejection
from sdaccel.strategies.speculative.base import Speculative
from sdaccel.strategies.speculative.coupled import Coupled
from sdaccel.strategies.speculative.decode import Speculation
from sdaccel.strategies.speculative.distributions import probabilities
from sdaccel.strategies.speculative.judge import Acceptance, Drafted
from sdaccel.strategies.speculative.rejection import Rejection
from sdaccel.strategies.speculative.top1 import Top1
from tests.strategies.speculative.pairs import DRAFT, TARGET, built, generate

VOCAB, LABEL, ROWS = 8, 3, 1000
TWO = replace(TARGET, vocab=VOCAB, patch_nums=[1, 2, 2], image_size=2, cfg=1.0, top_k=5, top_p=0.9)
"""Five tokens of two scales that a draft may make, one and then four; the third scale is always the target's."""
OTHER = replace(TWO, depth=3)


@torch.no_grad()
def exact(target: Var) -> dict[tuple[int, ...], float]:
    """Probability of every pair of scales that the filters allow."""
    loop = built(target).start(torch.full((VOCAB,), LABEL), torch.arange(VOCAB))
    first = probabilities(loop.guided(None, first=0, last=0).logits, loop.sampling.at(0))[0, 0]
    tokens = torch.arange(VOCAB).unsqueeze(1)
    loop.paint(0, tokens, loop.codebook[tokens])
    said = loop.guided(loop.canvas.inputs_of(1, 1), first=1, last=1)
    second = probabilities(said.logits, loop.sampling.at(1))  # (V, 4, V)
    found = {}
    for a in range(VOCAB):
        kept = [[int(v) for v in row.nonzero()] for row in second[a]]
        for rest in itertools.product(*kept) if first[a] > 0 else ():
            found[a, *rest] = float(first[a] * torch.stack([second[a, i, v] for i, v in enumerate(rest)]).prod())
    assert sum(found.values()) == pytest.approx(1)
    return found


def p_value(target: Var, strategy: Speculative | None, *, samples: int) -> float:
    """Chi-square of what comes out against what must; bins too rare to expect five samples share one. 0 for the impossible."""
    wanted = exact(target)
    counts = dict.fromkeys(wanted, 0)
    for start in range(0, samples, ROWS):
        of = Batch((LABEL,) * ROWS, sample_seeds(7, range(start, start + ROWS)), {})
        for row in map(tuple, generate(target, of, strategy).arrays["tokens"][:, :5].tolist()):
            if row not in counts:
                return 0.0
            counts[row] += 1
    common = [key for key, p in wanted.items() if p * samples >= 5]
    observed = [counts[key] for key in common] + [samples - sum(counts[key] for key in common)]
    expected = [wanted[key] * samples for key in common] + [samples * (1 - sum(wanted[key] for key in common))]
    assert len(observed) > 50, "the law would see too little"
    return float(chisquare(observed, expected).pvalue)


@dataclass(frozen=True, kw_only=True)
class Lenient(Rejection):
    """A later scale counts although a token before it was drawn anew."""

    def judge(self, drafted: Drafted) -> Acceptance:
        return Acceptance(torch.ones(len(drafted.tokens), dtype=torch.bool), lambda: drafted.own)


def test_the_target_alone_has_the_enumerated_distribution() -> None:
    assert p_value(TWO, None, samples=4 * ROWS) > 1e-3


def test_rejection_keeps_the_joint_distribution_with_guidance_and_filters() -> None:
    assert p_value(TWO, Rejection(draft=OTHER, gamma=2), samples=4 * ROWS) > 1e-3


@pytest.mark.parametrize(
    "rule", [Top1(draft=OTHER, gamma=2, threshold=0.5), Lenient(draft=OTHER, gamma=2)], ids=["top1", "lenient"]
)
def test_rules_that_keep_what_was_drafted_do_not(rule: Speculative) -> None:
    assert p_value(TWO, rule, samples=4 * ROWS) < 1e-6


def test_rejection_with_one_stream_for_race_and_residual_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was drawn from is not drawn from again: the loser of a race is likelier to lose the next one on the same noise."""
    original = rejection.exponential
    monkeypatch.setattr(
        rejection, "exponential", lambda seeds, stream, shape, start: original(seeds, Stream.RACE, shape, start=start)
    )
    assert p_value(TWO, Rejection(draft=OTHER, gamma=2), samples=4 * ROWS) < 1e-6


@pytest.mark.verify
@pytest.mark.parametrize("options", [{}, {"top_k": 0, "top_p": 0.95, "cfg": 3.0}, {"engine": "fast"}], ids=str)
def test_rejection_keeps_the_joint_distribution_of_many_samples(options: dict[str, Any]) -> None:
    assert p_value(replace(TWO, **options), Rejection(draft=OTHER, gamma=2), samples=48 * ROWS) > 1e-3


def mismatches(target: Var, draft: Var, *, seeds: Tensor, gamma: int) -> tuple[list[Difference], int]:
    """First tokens of every sample in which coupled differs from the target alone, with both races; and how many it saw."""
    offset, seen = [target.layout.token_start(k) for k in range(target.steps + 1)], {}

    class Watched(Speculation):
        def _pass(self, model: ScaleSeam, rows: list[int], *, first: int, last: int) -> dict[int, Pass]:
            out = super()._pass(model, rows, first=first, last=last)
            if model is self.seam:
                seen.update({(row, k): said.logits[i] for k, said in out.items() for i, row in enumerate(rows)})
            return out

    labels = [int(seed) % target.num_classes for seed in seeds]
    of, alone = Batch(tuple(labels), seeds, {}), {}
    loop = built(target).start(torch.tensor(labels), seeds)
    with torch.no_grad():
        for k in range(target.steps):
            said = loop.guided(loop.canvas.inputs_of(k, k), first=k, last=k)
            alone[k] = said.logits
            tokens, codes = loop.draw(said, k)
            loop.paint(k, tokens, codes)
    plain = generate(target, of).arrays["tokens"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "Speculation", Watched)
        made = generate(target, of, Coupled(draft=draft, gamma=gamma)).arrays["tokens"]
    found = []
    options = knobs(t=0.0, top_k=target.top_k, top_p=target.top_p, device=seeds.device)
    for row in range(len(seeds)):
        differ = (plain[row] != made[row]).nonzero()
        if len(differ):
            k = max(k for k in range(target.steps) if offset[k] <= int(differ[0]))
            part = slice(offset[k], offset[k + 1])
            ours, theirs = (torch.stack([logits, logits]) for logits in (alone[k][row], seen[row, k]))
            drawn = plain[row : row + 1, part], made[row : row + 1, part]
            found += compare(ours, theirs, *drawn, seeds[row : row + 1], options, start=offset[k])
    return found, plain.numel()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("engine", ["eager", "fast"])
def test_a_token_that_coupling_draws_otherwise_is_a_race_closer_than_the_logits_agree(dtype: str, engine: str) -> None:
    target = replace(TARGET, dtype=dtype, engine=engine, top_p=0.0)
    found, tokens = mismatches(target, DRAFT, seeds=torch.arange(16), gamma=2)
    assert all(difference.explained for difference in found), found
    assert len(found) < tokens / 10
    assert found or dtype == "float32", "half precision should show that the law has something to explain"


@pytest.mark.verify
@pytest.mark.parametrize("gamma", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_so_it_is_on_two_hundred_seeds(dtype: str, gamma: int) -> None:
    target = replace(TARGET, dtype=dtype, top_p=0.0)
    for start in range(0, 200, 25):
        found, _ = mismatches(target, DRAFT, seeds=torch.arange(start, start + 25), gamma=gamma)
        assert all(difference.explained for difference in found), found


@pytest.mark.verify
def test_in_float64_coupling_is_exact_on_two_hundred_seeds() -> None:
    target = replace(TARGET, dtype="float64")
    for start in range(0, 200, 25):
        assert mismatches(target, DRAFT, seeds=torch.arange(start, start + 25), gamma=1 + start // 25 % 3) == ([], 25 * 30)
