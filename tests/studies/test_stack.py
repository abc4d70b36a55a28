"""What a watch sees of a stack of forecasts on sparse operators, and the bugs that such stacks were shipped with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sdaccel.records.view import Record
from sdaccel.reporting import figures, style
from sdaccel.reporting.stack_sizes import stack_sizes
from sdaccel.strategies.forecast.watch import FEATURE, FORECAST, SLOPE
from tests.studies.frame import run

STACK = "backend: column_sparse, strategy: hicache, interval: 2, max_order: 1"
ARMS = (
    "+study.arms.dense={backend: dense, strategy: original, watch: true}",
    "+study.arms.plain={strategy: hicache, interval: 2, max_order: 1, backend: dense}",
    "+study.arms.forecast={strategy: hicache, interval: 2, max_order: 1, backend: dense, watch: true}",
    f"+study.arms.stack={{{STACK}, watch: true}}",
    f"+study.arms.bare={{{STACK}}}",
    "+study.arms.audited={backend: column_sparse, strategy: hicache, interval: 1, max_order: 1, audit: true}",
    "study.baseline=dense",
    "study.checks=[{equal: [plain, forecast]}, {equal: [bare, stack]}, {forecast_published: [audited]}]",
    f"+study.controls.missed={{for: stack, {STACK}, watch: true, mutant: missed_ticks, fails: equal}}",
    f"+study.controls.leaked={{for: stack, {STACK}, watch: true, mutant: leaked_state, images_before: 1, fails: equal}}",
    f"+study.controls.naive={{for: stack, {STACK}, watch: true, mutant: naive_stack, images_before: 1, fails: equal}}",
    "+study.controls.careless={for: audited, backend: column_sparse, strategy: hicache, interval: 1, max_order: 1, "
    "audit: true, mutant: sparse_deltas, fails: forecast_published}",
    "study.keep=[latents]",
    "data.limit=1",
    "generator.num_steps=16",
)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return run(*ARMS, output=tmp_path_factory.mktemp("stack"))


def sizes(record: Record, arm: str) -> np.ndarray:
    return np.array(record.arms[arm].diagnostics["sizes"], dtype=float)


def test_watching_changes_no_bit_and_every_planted_bug_does(record: Record) -> None:
    assert record.verdict == "pass", record.failures


def test_features_are_seen_at_full_steps_and_forecasts_at_the_others(record: Record) -> None:
    for name in ("forecast", "stack"):
        seen = sizes(record, name)
        full = np.array([step < 3 or step % 2 == 0 for step in range(16)])
        assert (~np.isnan(seen[FEATURE]) == full).all() and (~np.isnan(seen[FORECAST]) == ~full).all()
        assert not np.isnan(seen[SLOPE][:, full][:, 1:]).any() and np.isnan(seen[SLOPE][:, 0]).all()
    assert not np.isnan(sizes(record, "dense")[FEATURE]).any()


def test_sparse_anchors_are_told_from_full_ones(record: Record) -> None:
    exact = record.arms["stack"].diagnostics["exact"]
    assert exact[0] == 1 and exact[4] == 0 and exact[3] is None and exact[10] == 1, "full again once ten steps have passed"
    assert set(record.arms["forecast"].diagnostics["exact"]) == {1, None}


def test_a_cache_that_anchors_refer_to_leaves_no_slope(record: Record) -> None:
    """The MLP of double blocks hands out its running sum: after sparse steps its last two anchors are one tensor."""
    naive, honest = (sizes(record, name)[SLOPE][:, 6:] for name in ("naive", "stack"))
    assert np.nanmin(honest) > 0
    assert np.nanmin(naive) == 0


def test_the_figure_shows_them_over_the_baseline(record: Record, tmp_path: Path) -> None:
    with style.styled():
        left, _ = stack_sizes(record).axes
    labels = [str(line.get_label()) for line in left.lines]
    assert "forecast" in labels and "planted: naive" in labels and "dense" not in labels
    (line,) = [line for line in left.lines if line.get_label() == "forecast"]
    wanted = sizes(record, "forecast")[FEATURE][:, 6] / sizes(record, "dense")[FEATURE][:, 6]
    assert np.asarray(line.get_ydata(), dtype=float)[6] == pytest.approx(np.exp(np.log(wanted).mean()), rel=1e-4)
    asking = replace(record, study=replace(record.study, figures=["stack_sizes"]))
    assert {path.stem for path in figures.draw(asking, tmp_path)} == {"stack_sizes"}
