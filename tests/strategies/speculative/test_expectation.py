"""Laws of what speculation costs: a formula beside the thing itself, on a small real pair."""

import itertools
import math
import random
from dataclasses import replace

import pytest

from sdaccel.strategies.base import Done
from sdaccel.strategies.speculative.base import Speculative
from sdaccel.strategies.speculative.coupled import Coupled
from sdaccel.strategies.speculative.expectation import CALLS, Prices, cost_of, expected, rounds_from_runs, rounds_of
from sdaccel.strategies.speculative.profile import Profile
from sdaccel.strategies.speculative.rejection import Rejection
from tests.strategies.speculative.pairs import TARGET, batch, generate

K = 10
ODD = Prices(
    draft=lambda first, k: 1.0 + 0.3 * (k - first) + 0.01 * k,
    verify=lambda s, last: 2.0 + 0.7 * (last - s),
    judge=lambda k: 0.1 + 0.001 * k,
    bonus=lambda k: 0.05 * k,
    repaint=lambda k: 0.02 * k,
    fixed=3.0,
)
"""No two parts cost the same, so none can stand for another."""
SIDES = [1, 1, 1, 1, 2]
CLOSE = replace(TARGET, dtype="float64", vocab=4, patch_nums=SIDES, image_size=2)
SMALL = replace(CLOSE, depth=1)
"""Few codes and small scales, so that random models often agree and whole proposals stand."""


@pytest.mark.parametrize("gamma", [1, 2, 3, 4])
def test_ends_of_acceptance(gamma: int) -> None:
    assert expected(CALLS, [0.0] * (K - 1), gamma=gamma) == K
    assert expected(CALLS, [1.0] * (K - 1), gamma=gamma) == math.ceil(K / (gamma + 1))


@pytest.mark.parametrize("gamma", [1, 2, 3])
def test_expected_cost_is_the_mean_over_everything_that_may_happen(gamma: int) -> None:
    chance = [0.9, 0.5, 0.7, 0.2, 0.6]
    total = 0.0
    for stood in itertools.product((True, False), repeat=len(chance)):
        weight = math.prod(a if s else 1 - a for a, s in zip(chance, stood, strict=True))
        total += weight * cost_of(ODD, rounds_of(stood, gamma=gamma))
    assert expected(ODD, chance, gamma=gamma) == pytest.approx(total, rel=1e-12)


def test_a_price_that_forgets_the_scale_the_draft_never_saw_is_found_out() -> None:
    """The control of the law above: what it must not hold for."""
    careless = replace(ODD, draft=lambda first, k: ODD.draft(k, k))
    assert expected(careless, [1.0] * 5, gamma=2) < expected(ODD, [1.0] * 5, gamma=2) - 0.1


@pytest.mark.parametrize("gamma", [1, 2, 3, 4])
def test_rounds_are_recovered_from_a_records_counts(gamma: int) -> None:
    rng = random.Random(gamma)
    for _ in range(300):
        rounds = rounds_of([rng.random() < 0.6 for _ in range(K - 1)], gamma=gamma)
        runs = [sum(r.scale <= k <= r.scale + r.proposed for r in rounds) for k in range(K)]
        assert rounds_from_runs(runs, gamma=gamma) == rounds


@pytest.mark.parametrize("gamma", [1, 2, 3])
def test_the_profile_foretells_every_count_of_a_coupled_run(gamma: int) -> None:
    of = batch([1, 2, 3, -1, 4, 0, 2, 1], 8)
    watched = generate(CLOSE, of, Profile(draft=SMALL)).stats
    run = generate(CLOSE, of, Coupled(draft=SMALL, gamma=gamma)).stats
    assert run["accepted"].sum() > 0
    for row in range(len(of.conditions)):
        rounds = rounds_of((watched["same"][row, :-1] == 1).tolist(), gamma=gamma)
        assert rounds == rounds_from_runs(run["target_runs"][row].tolist(), gamma=gamma)
        assert len(rounds) == run["target_calls"][row]
        assert sum(r.proposed for r in rounds) == run["drafted"][row]
        assert sum(r.accepted for r in rounds) == run["accepted"][row]
        assert [sum(s.scale - s.catch_up <= k < s.scale + s.proposed for s in rounds if s.proposed) for k in range(5)] == run[
            "draft_runs"
        ][row].tolist()


class Believed(Coupled):
    """A draft that is the target stands always, and is taken to."""

    supposed = 1.0


@pytest.mark.parametrize("strategy", [Profile(draft=SMALL), Believed(draft=CLOSE, gamma=2), Believed(draft=CLOSE, gamma=4)])
def test_what_is_foreseen_is_what_it_took_where_all_or_nothing_stands(strategy: Speculative) -> None:
    of = batch([1, 2], 8)
    run, cost, beside = generate(CLOSE, of, strategy).stats, CLOSE.cost(), strategy.models(CLOSE)["draft"].cost()
    took = strategy.macs(Done([], cost, {"draft": beside}, {name: found[0].tolist() for name, found in run.items()}))
    foreseen = strategy.foreseen(cost, {"draft": beside})
    assert foreseen.macs == took
    assert f"about {int(run['target_calls'][0])}.0 target calls" in foreseen.says and "estimate" in foreseen.says


def test_a_profile_asks_at_every_scale_and_changes_nothing() -> None:
    of = batch([1, 2, 3, -1, 4, 0, 2, 1], 8)
    plain, watched = generate(CLOSE, of), generate(CLOSE, of, Profile(draft=SMALL))
    assert plain.arrays["tokens"].equal(watched.arrays["tokens"])
    assert not watched.stats["tv"][:, :-1].isnan().any()
    assert generate(CLOSE, of, Coupled(draft=SMALL, gamma=2, distances=True)).stats["tv"][:, :-1].isnan().any()


def test_scales_stand_as_often_as_the_record_says_of_rejection() -> None:
    run = generate(CLOSE, batch([1, 2, 3, 4] * 100, 100), Rejection(draft=SMALL, gamma=2, distances=True)).stats
    for scale in range(3):
        judged = ~run["stood"][:, scale].isnan()
        stood, said = run["stood"][judged, scale].mean(), run["whole"][judged, scale].mean()
        assert 0.05 < stood < 0.95
        assert abs(stood - said) < 4 * math.sqrt(0.25 / int(judged.sum()))
