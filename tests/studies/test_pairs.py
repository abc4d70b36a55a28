"""`non_inferior` and `equivalent`: what is lost sample by sample, beside the largest loss that would not matter."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sdaccel.metrics.aggregate import of_values
from sdaccel.metrics.intervals import mean_interval
from sdaccel.studies.results import Result
from tests.studies.frame import run_argv
from tests.studies.test_quality import result, value, verdict


def sampled(name: str, values: np.ndarray, metric: str = "clip_score") -> Result:
    whole: dict[str, Any] = {metric: of_values(values)}
    made = result(name, **whole)
    return replace(made, metrics=replace(made.metrics, values={metric: values.tolist()}))


RNG = np.random.default_rng(0)
HARD = RNG.normal(80, 10, 200)
"""How hard the prompts are: far more than what methods differ by."""


def judged(check: str, loss: float, margin: float) -> bool | None:
    """Of an arm that loses so much on average, give or take 1 on every sample."""
    noise = RNG.normal(0, 1, 200)
    other = HARD - loss + noise - noise.mean()
    spec = {check: ["a", "b"], "metric": "clip_score", "margin": margin}
    return verdict(spec, sampled("a", HARD), sampled("b", other)).passed


@pytest.mark.parametrize(
    ("loss", "margin", "non_inferior", "equivalent"),
    [(0, 0.5, True, True), (0.5, 0.5, None, None), (1, 0.5, False, False), (-1, 0.5, True, False), (0, 0.05, None, None)],
)
def test_pairs_tell_what_whole_arms_could_not(
    loss: float, margin: float, non_inferior: bool | None, equivalent: bool | None
) -> None:
    assert judged("non_inferior", loss, margin) is non_inferior
    assert judged("equivalent", loss, margin) is equivalent


def test_a_real_loss_inside_the_interval_of_the_reference_is_found() -> None:
    """What `no_worse` passed: the unpaired interval is 1.4 wide either way."""
    assert judged("non_inferior", 0.6, 0.2) is False


def test_the_verdict_holds_margin_interval_power_and_what_would_show() -> None:
    other = HARD - RNG.normal(0, 1, 200)
    found = verdict(
        {"non_inferior": ["a", "b"], "metric": "clip_score", "margin": 0.5}, sampled("a", HARD), sampled("b", other)
    )
    truth = mean_interval(other - HARD)
    assert found.evidence is not None and found.evidence.margin == found.bound == 0.5
    assert (found.evidence.low, found.evidence.high) == pytest.approx((-truth.high, -truth.low), rel=1e-3)
    assert found.evidence.power is not None and found.evidence.power > 0.99
    assert found.evidence.detectable == pytest.approx((1.96 + 0.8416) * (truth.high - truth.low) / 2 / 1.96, rel=1e-3)


@pytest.mark.parametrize(("low", "high", "passed"), [(-0.4, 0.3, True), (-0.1, 0.6, None), (0.2, 0.6, None), (0.6, 0.9, False)])
def test_a_distance_has_its_own_difference(low: float, high: float, passed: bool | None) -> None:
    fast = result("fast", fid=value(10), fid_difference=value((low + high) / 2, low, high))
    for check in ("equivalent", "non_inferior"):
        found = verdict(
            {check: ["target", "fast"], "metric": "fid", "margin": 0.5}, result("target", fid=value(10, 9, 11)), fast
        )
        assert (found.arm, found.against, found.passed) == ("fast", "target", passed)


def test_better_is_not_equivalent_but_not_inferior() -> None:
    arms = result("a", fid=value(10, 9, 11)), result("b", fid=value(9), fid_difference=value(-0.75, -0.9, -0.6))
    assert verdict({"equivalent": ["a", "b"], "metric": "fid", "margin": 0.5}, *arms).passed is False
    assert verdict({"non_inferior": ["a", "b"], "metric": "fid", "margin": 0.5}, *arms).passed is True


def test_without_an_interval_it_stays_open() -> None:
    fast = result("fast", fid=value(10), fid_difference=value(None, note="too few samples"))
    found = verdict({"equivalent": ["target", "fast"], "metric": "fid", "margin": 1}, result("target", fid=value(10)), fast)
    assert (found.measured, found.passed) == (None, None) and "too few samples" in found.where


def test_few_samples_that_agree_prove_nothing() -> None:
    """Judges give most samples full marks: a difference of nothing in 8 samples says little of a thousand."""
    for n, passed in ((8, None), (200, True)):
        arms = [sampled(name, np.ones(n), "judge.mean") for name in "ab"]
        assert verdict({"non_inferior": ["a", "b"], "metric": "judge.mean", "margin": 0.01}, *arms).passed is passed


def test_a_value_in_one_arm_alone_is_not_left_out() -> None:
    """Identical pictures have no PSNR: dropping them would forget where an arm is perfect and the other is not."""
    perfect = np.append(np.full(9, np.inf), 30)
    arms = sampled("a", perfect, "psnr"), sampled("b", np.full(10, 30.0), "psnr")
    found = verdict({"non_inferior": ["a", "b"], "metric": "psnr", "margin": 1}, *arms)
    assert found.passed is None and "9 of 10 samples" in found.where


WORLD = ["generator=var_mini_target", "data=world_classes", "data.limit=2", "metrics=world", "study.timing.repeats=0"]
ARMS = "+study.arms={target: {strategy: original}, fast: {generator.engine: fast}, real: {generator: world_classes}}"


@pytest.mark.parametrize(
    ("rule", "baseline", "message"),
    [
        ("metric: fid", "target", "margin=None must be a number above 0"),
        ("metric: fid, margin: 0", "target", "margin=0 must be a number above 0"),
        ("metric: fid, margin: -0.1", "target", "margin=-0.1 must be a number above 0"),
        ("metric: fid, margin: nan", "target", "margin=nan must be a number above 0"),
        ("metric: fid, margin: inf", "target", "the bound inf must be a number"),
        ("metric: fid, margin: true", "target", "margin=True must be a number above 0"),
        ("metric: judge.shape, margin: 0.1", "target", "metric judge.shape has no pairs"),
        ("metric: fid, margin: 0.1", "fast", "fast is compared with target, which is not its baseline"),
        ("metric: fid, within: 0.1", "target", "no option within"),
    ],
)
def test_what_could_not_be_judged_is_refused(
    rule: str, baseline: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_argv([*WORLD, ARMS, f"study.baseline={baseline}", f"study.checks=[{{equivalent: [target, fast], {rule}}}]"]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.strip().splitlines()) == 1, err


def test_arms_without_shared_noise_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    check = "study.checks=[{non_inferior: [target, real], metric: judge.mean, margin: 0.1}]"
    assert run_argv([*WORLD, ARMS, "study.baseline=target", check]) == 2
    assert "real and target share no noise" in capsys.readouterr().err


def test_the_old_check_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    check = "study.checks=[{no_worse: [target, fast], metric: judge.mean}]"
    assert run_argv([*WORLD, ARMS, "study.baseline=target", check]) == 2
    assert "no_worse is unknown" in capsys.readouterr().err
