"""Laws of the figures: names are checked before a run, and a drawing shows the record's values, exact zeros apart."""

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.lines import Line2D

from sdaccel.errors import BadInput
from sdaccel.measure.speedup import Speedup
from sdaccel.records.migrate import LOST
from sdaccel.records.outline import outline_of
from sdaccel.records.timing import Timing
from sdaccel.records.view import Arm, Part, Record
from sdaccel.reporting import figures, per_step, series, style, timing
from sdaccel.reporting.build import read
from sdaccel.reporting.ceilings import DECODE_IN
from sdaccel.reporting.cells import shown


@pytest.fixture
def headline(promoted: Path) -> Record:
    return read(promoted)[0]


@pytest.fixture
def timed(promoted: Path) -> Record:
    return read(promoted)[1]


def x_of(line: Line2D) -> list[float]:
    return [float(x) for x in np.asarray(line.get_xdata())]


def y_of(line: Line2D) -> list[float]:
    return [float(y) for y in np.asarray(line.get_ydata())]


def test_an_unknown_figure_is_refused_and_the_known_ones_are_named(headline: Record, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="step_diff is unknown; did you mean step_differences"):
        figures.validate(["step_diff"], outline_of(headline))
    wrong = replace(headline, study=replace(headline.study, figures=["would_be_forecasts", "nonsense"]))
    with pytest.raises(BadInput, match="nonsense is unknown"):
        figures.draw(wrong, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_names_are_checked_without_loading_matplotlib() -> None:
    code = "import sys; from sdaccel.reporting import registry; registry.figures(); sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_study_gets_the_figures_it_names_and_timing_only_where_there_is_any(
    headline: Record, timed: Record, tmp_path: Path
) -> None:
    drawn = [path.name for path in figures.draw(headline, tmp_path)]
    assert drawn == ["step_differences.pdf", "step_differences.png", "would_be_forecasts.pdf", "would_be_forecasts.png"]
    assert [path.name for path in figures.draw(timed, tmp_path)] == ["timing.pdf", "timing.png"]
    assert figures.names_of(outline_of(replace(timed, timing=Timing()))) == []


def test_exact_zeros_are_drawn_in_their_band_and_no_other_value_is(headline: Record) -> None:
    with style.styled():
        panel = per_step.step_differences(headline).axes[0]
    ticks = {text.get_text(): place for place, text in zip(panel.get_yticks(), panel.get_yticklabels(), strict=True)}
    zero = ticks["exactly 0"]
    honest, caught = [[line for line in panel.lines if line.get_color() == c] for c in (style.BLUE, style.VERMILLION)]
    assert y_of(honest[1]) == [zero] * 25  # of the longest honest arm, 24 steps and the noise they start from
    (dropped,) = [v for v in headline.checks if v.arm.startswith("dropped_norm") and not v.passed]
    values = [10**y for y in y_of(caught[0]) if not math.isnan(y)]
    assert values == pytest.approx([v for v in dropped.series or () if v])
    assert min(values) > 10 ** min(y for name, y in ticks.items() if name != "exactly 0") > 10**zero


def test_an_honest_arm_that_fails_gets_a_line_of_its_own(headline: Record) -> None:
    broken = next(v for v in headline.checks if v.check == "equal" and not v.control)
    off = replace(broken, passed=False, series=[0.0, 1.0, None, 1.0, 1.0, 1.0, 1.0])
    with style.styled():
        checks = [off if v is broken else v for v in headline.checks]
        panel = per_step.step_differences(replace(headline, checks=checks)).axes[0]
    legend = panel.get_legend()
    assert legend is not None
    assert "1 failing honest arm: worst" in [text.get_text() for text in legend.get_texts()]
    assert "not finite" in [text.get_text() for text in panel.get_yticklabels()]


def test_arms_that_coincide_share_one_line(headline: Record) -> None:
    with style.styled():
        figure = per_step.would_be_forecasts(headline)
    arms = [a for a in headline.arms.values() if not a.control and len(a.per_step.get("forecast_error", ())) == 6]
    distinct = {(a.point["generator.dtype"], a.strategy.name, tuple(a.per_step["forecast_error"])) for a in arms}
    reuse = {(a.point["generator.dtype"], tuple(a.per_step["reuse_error"])) for a in arms}
    assert len(reuse) == 4, "one per panel and backend"
    assert sum(len(axes.lines) for axes in figure.axes) == len(distinct) + len(reuse) < len(arms) + len(reuse)
    assert [axes.get_title(loc="left").partition(",")[0] for axes in figure.axes] == ["float32", "bfloat16"]


def test_timing_shows_the_ratio_its_interval_and_the_ceiling_with_the_decoder(timed: Record) -> None:
    speed = Speedup(1.5, 1.4, 1.6, n=3)
    arms = {name: replace(arm, speedup=speed) for name, arm in timed.timing.arms.items()}
    with style.styled():
        figure = timing.timing(replace(timed, timing=Timing(1, arms)))
    bar, middle, ceiling, _one = figure.axes[0].lines
    assert (x_of(bar), x_of(middle)) == ([1.4, 1.6], [1.5])
    assert x_of(ceiling) == [timing.ceiling_of(timed, "run")] and ceiling.get_label() == DECODE_IN
    assert "decode in" in figure.axes[0].get_xlabel() and "3 rounds" in figure.axes[0].get_xlabel()
    assert "(random weights)" in figure.get_suptitle().replace("\n", " ")


def test_a_speed_up_without_an_interval_says_why_and_shows_none(timed: Record) -> None:
    arms = {name: replace(arm, speedup=Speedup(1.5, n=3, note=LOST)) for name, arm in timed.timing.arms.items()}
    old = replace(timed, timing=Timing(1, arms))
    with style.styled():
        figure = timing.timing(old)
    middle, _ceiling, _one = figure.axes[0].lines
    assert x_of(middle) == [1.5] and LOST in str(middle.get_label())
    assert f"1.5 ({LOST})" in timing_table_text(old)


def timing_table_text(record: Record) -> str:
    return " ".join(shown(cell, missing="") for row in timing.timing_table(record).rows for cell in row)


def test_names_keep_only_what_tells_arms_apart() -> None:
    points = [{"strategy": "taylor", "generator.dtype": dtype} for dtype in ("float32", "bfloat16")]
    of = [("B", points[0]), ("B", points[1]), ("C", {})]
    arms = {f"{t}{i}": Arm(f"{t}{i}", t, Part("flux"), Part("dense"), Part("taylor"), point) for i, (t, point) in enumerate(of)}
    assert list(series.labels(arms).values()) == ["B dtype=float32", "B dtype=bfloat16", "C"]
    assert series.counted(["A", "B", "B"]) == "A, B ×2"


def test_a_branch_is_drawn_from_the_step_before_it_leaves_to_the_step_after_it_returns() -> None:
    assert series.where_other([1.0, 2.0, 3.0, 4.0, 5.0], [1.0, 2.0, 9.0, 4.0, 5.0]) == [None, 2.0, 3.0, 4.0, None]


def test_arms_of_different_length_can_stand_in_one_figure() -> None:
    assert series.worst([[0.0, 1.0, None], [0.5, 0.0, 2.0, 3.0]]) == [0.5, 1.0, None, 3.0]
    assert series.where_other([1.0, 2.0, 3.0], [1.0, 2.0]) == [None, 2.0, 3.0]
