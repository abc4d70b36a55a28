"""What a watch sees of a stack of forecasts on sparse operators, and the bugs that such stacks were shipped with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdaccel.metrics.aggregate import Aggregate
from sdaccel.reporting import figures, style
from sdaccel.reporting.stack_sizes import stack_sizes
from sdaccel.strategies.forecast.watch import FEATURE, FORECAST, SLOPE
from tests.studies.frame import run
from tests.studies.test_quality import result, value, verdict

STACK = "backend: column_sparse, mode: hicache, interval: 2, max_order: 1"
ARMS = (
    "+study.arms.dense={backend: dense, mode: original, watch: true}",
    "+study.arms.plain={mode: hicache, interval: 2, max_order: 1, backend: dense}",
    "+study.arms.forecast={mode: hicache, interval: 2, max_order: 1, backend: dense, watch: true}",
    f"+study.arms.stack={{{STACK}, watch: true}}",
    f"+study.arms.bare={{{STACK}}}",
    "+study.arms.audited={backend: column_sparse, mode: hicache, interval: 1, max_order: 1, audit: true}",
    "study.baseline=dense",
    "study.checks=[{equal: [plain, forecast]}, {equal: [bare, stack]}, {forecast_published: [audited]}]",
    f"+study.controls.missed={{for: stack, {STACK}, watch: true, mutant: missed_ticks, fails: equal}}",
    f"+study.controls.leaked={{for: stack, {STACK}, watch: true, mutant: leaked_state, images_before: 1, fails: equal}}",
    f"+study.controls.naive={{for: stack, {STACK}, watch: true, mutant: naive_stack, images_before: 1, fails: equal}}",
    "+study.controls.careless={for: audited, backend: column_sparse, mode: hicache, interval: 1, max_order: 1, audit: true, "
    "mutant: sparse_deltas, fails: forecast_published}",
    "study.keep=[latents]",
    "data.limit=1",
    "generator.num_steps=16",
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(*ARMS, output=tmp_path_factory.mktemp("stack"))


def sizes(record: dict[str, Any], arm: str) -> np.ndarray:
    return np.array(record["content"]["arms"][arm]["diagnostics"]["sizes"], dtype=float)


def test_watching_changes_no_bit_and_every_planted_bug_does(record: dict[str, Any]) -> None:
    assert record["content"]["verdict"] == "pass", record["content"]["failures"]


def test_features_are_seen_at_full_steps_and_forecasts_at_the_others(record: dict[str, Any]) -> None:
    for name in ("forecast", "stack"):
        seen = sizes(record, name)
        full = np.array([step < 3 or step % 2 == 0 for step in range(16)])
        assert (~np.isnan(seen[FEATURE]) == full).all() and (~np.isnan(seen[FORECAST]) == ~full).all()
        assert not np.isnan(seen[SLOPE][:, full][:, 1:]).any() and np.isnan(seen[SLOPE][:, 0]).all()
    assert not np.isnan(sizes(record, "dense")[FEATURE]).any()


def test_sparse_anchors_are_told_from_full_ones(record: dict[str, Any]) -> None:
    exact = record["content"]["arms"]["stack"]["diagnostics"]["exact"]
    assert exact[0] == 1 and exact[4] == 0 and exact[3] is None and exact[10] == 1, "full again once ten steps have passed"
    assert set(record["content"]["arms"]["forecast"]["diagnostics"]["exact"]) == {1, None}


def test_a_cache_that_anchors_refer_to_leaves_no_slope(record: dict[str, Any]) -> None:
    """The MLP of double blocks hands out its running sum: after sparse steps its last two anchors are one tensor."""
    naive, honest = (sizes(record, name)[SLOPE][:, 6:] for name in ("naive", "stack"))
    assert np.nanmin(honest) > 0
    assert np.nanmin(naive) == 0


def test_the_figure_shows_them_over_the_baseline(record: dict[str, Any], tmp_path: Path) -> None:
    with style.styled():
        left, _ = stack_sizes(record).axes
    labels = [str(line.get_label()) for line in left.lines]
    assert "forecast" in labels and "planted: naive" in labels and "dense" not in labels
    (line,) = [line for line in left.lines if line.get_label() == "forecast"]
    wanted = sizes(record, "forecast")[FEATURE][:, 6] / sizes(record, "dense")[FEATURE][:, 6]
    assert np.asarray(line.get_ydata(), dtype=float)[6] == pytest.approx(np.exp(np.log(wanted).mean()), rel=1e-4)
    record["content"]["config"]["study"]["figures"] = ["stack_sizes"]
    assert {path.stem for path in figures.draw(record, tmp_path)} == {"stack_sizes"}


@pytest.mark.parametrize(("estimate", "passed"), [(0.95, True), (0.91, True), (0.89, False)])
def test_no_worse_is_not_beyond_the_worse_end(estimate: float, passed: bool) -> None:
    arms = result("n5", m=value(0.92, 0.9, 0.94)), result("stack", m=value(estimate))
    found = verdict({"no_worse": ["n5", "stack"], "metric": "m"}, *arms)
    assert (found.passed, found.measured) == (passed, pytest.approx(estimate - 0.9))


@pytest.mark.parametrize(("estimate", "passed"), [(3.0, True), (6.0, False)])
def test_of_distances_the_worse_end_is_the_upper_one(estimate: float, passed: bool) -> None:
    arms = result("n5", fid=value(4, 3, 5)), result("stack", fid=value(estimate))
    assert verdict({"no_worse": ["n5", "stack"], "metric": "fid"}, *arms).passed is passed


def test_without_an_interval_it_stays_open() -> None:
    arms = result("n5", m=Aggregate(0.9, 1, note="too few")), result("stack", m=value(0.1))
    found = verdict({"no_worse": ["n5", "stack"], "metric": "m"}, *arms)
    assert (found.passed, found.measured) == (None, None) and "too few" in found.where
