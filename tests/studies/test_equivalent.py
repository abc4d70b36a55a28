"""The check `equivalent`: an interval within the margin proves it, one beyond refutes it, any other leaves it open."""

import pytest

from tests.studies.frame import run_argv
from tests.studies.test_quality import result, value, verdict

SPEC = {"equivalent": ["target", "fast"], "metric": "fid", "within": 0.05}


@pytest.mark.parametrize(
    ("low", "high", "measured", "passed"),
    [
        (-0.4, 0.3, 0.04, True),
        (-0.1, 0.6, 0.06, None),  # too wide to tell
        (0.2, 0.6, 0.06, None),
        (0.6, 0.9, 0.09, False),
        (-0.9, -0.6, 0.09, False),  # better by more is no equivalence either
    ],
)
def test_the_whole_interval_of_the_difference_must_lie_within_the_margin(
    low: float, high: float, measured: float, passed: bool | None
) -> None:
    fast = result("fast", fid=value(10), fid_difference=value((low + high) / 2, low, high))
    found = verdict(SPEC, result("target", fid=value(10, 9, 11)), fast)
    assert (found.arm, found.against, found.measured, found.passed) == ("fast", "target", pytest.approx(measured), passed)


def test_without_an_interval_it_stays_open() -> None:
    fast = result("fast", fid=value(10), fid_difference=value(None, note="too few samples"))
    found = verdict(SPEC, result("target", fid=value(10)), fast)
    assert (found.measured, found.passed) == (None, None)
    assert "too few samples" in found.where


@pytest.mark.parametrize(
    ("rule", "baseline", "message"),
    [
        ("{equivalent: [target, fast], metric: fid}", "target", "the bound None must be a number"),
        ("{equivalent: [target, fast], metric: judge.class, within: 0.1}", "target", "no difference with an interval"),
        (
            "{equivalent: [target, fast], metric: fid, within: 0.1}",
            "fast",
            "fast is compared with target, which is not its baseline",
        ),
    ],
)
def test_what_could_not_be_judged_is_refused(
    rule: str, baseline: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arms = "+study.arms={target: {strategy: original}, fast: {generator.engine: fast}}"
    overrides = ["generator=var_mini_target", "data=world_classes", "data.limit=2", "metrics=world", arms]
    assert run_argv([*overrides, f"study.baseline={baseline}", f"study.checks=[{rule}]"]) == 2
    assert message in capsys.readouterr().err
