"""What the report shows of a study of quality: every figure, its interval, and the pictures as they are."""

import csv
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdaccel.records.outline import outline_of
from sdaccel.records.promote import chosen
from sdaccel.records.timing import Timing
from sdaccel.records.view import Control, Record
from sdaccel.reporting import figures, quality_cost, sample_sheet, style, tables
from sdaccel.reporting.build import build, read
from sdaccel.reporting.cells import Range, shown
from sdaccel.reporting.gallery import finder
from sdaccel.reporting.labels import Label, arrange, spread
from sdaccel.reporting.quality import metrics, quality


@pytest.fixture
def record(scored: Path) -> Record:
    (found,) = read(scored)
    return found


def test_the_csv_holds_estimates_and_ends_digit_for_digit(record: Record) -> None:
    rows = {
        row["arm"].removesuffix(" (random weights)"): row for row in csv.DictReader(io.StringIO(tables.to_csv(quality(record))))
    }
    assert set(rows) == {"real", "target", "draft", "cfg=0", "cfg=4"}
    found = record.arms["draft"].metrics["judge.class"]
    said = [json.loads(rows["draft"][column]) for column in ("judge: class", "judge: class low", "judge: class high")]
    assert said == [found.estimate, found.low, found.high]
    assert json.loads(rows["draft"]["MACs"]) == record.arms["draft"].cost
    assert rows["real"]["MACs"] == "" and rows["target"]["PSNR (dB)"] == ""


def test_every_metric_of_every_arm_stands_in_the_long_table_with_its_reason(record: Record) -> None:
    rows = {(row[0], row[1]): row for row in metrics(record).rows}
    assert len(rows) == sum(len(arm.metrics) for arm in record.arms.values())
    assert rows["target", "fid"][2] is None and "512 or more" in str(rows["target", "fid"][-1])


def test_latex_sets_an_interval_and_stays_balanced(record: Record) -> None:
    for table in (quality(record), metrics(record)):
        text = tables.to_latex(table)
        assert text.count("{") == text.count("}") and text.isascii()
    assert r"{\scriptsize {[}" in tables.to_latex(quality(record))
    assert shown(Range(0.5, 0.25, 0.75), missing="") == "0.5 [0.25, 0.75]"


def test_open_checks_read_as_open_and_lower_bounds_as_such(record: Record) -> None:
    rows, found = tables.summary(record).rows, record.arms["draft"].metrics["psnr"]
    assert found.estimate is not None and record.checks[0].evidence is not None
    assert rows[0][1:4] == ("draft", Range(found.estimate, found.low, found.high), "≥ 1") and rows[0][-1] == "pass"
    assert rows[1][1:] == ("target against real", "too few samples", "≥ 0", "–, –", "–, –", "open")
    assert [row[-2] for row in tables.verdicts(record).rows] == ["pass", "open"]


def test_evidence_stands_in_the_csv_digit_for_digit_and_in_records_that_have_some(record: Record) -> None:
    first, second = csv.DictReader(io.StringIO(tables.to_csv(tables.verdicts(record))))
    found = record.checks[0].evidence
    assert found and [json.loads(first[column]) for column in ("p", "p (Holm)", "would show")] == [
        found.p,
        found.adjusted,
        found.detectable,
    ]
    assert [json.loads(first[f"measured{end}"]) for end in (" low", " high")] == [found.low, found.high]
    assert first["power"] == second["p"] == "–", "no margin, and no interval of a difference"
    without = replace(record, checks=[replace(v, evidence=None) for v in record.checks])
    assert tables.summary(without).columns == ("check", "arms", "worst", "bound", "verdict")


def test_a_control_that_stays_open_is_not_called_caught(record: Record) -> None:
    control = Control("bug", "target", "disjoint fid")
    arms = {**record.arms, "draft": replace(record.arms["draft"], control=control)}
    verdict = replace(record.checks[1], arm="draft", control=True)
    blind = replace(record, arms=arms, checks=[record.checks[1], verdict])
    assert [row[-1] for row in tables.summary(blind).rows] == ["open", "not judged"]


def test_quality_is_drawn_over_macs_and_over_time(record: Record) -> None:
    with style.styled():
        figure = quality_cost.quality_cost(record)
    assert len(figure.axes) == 2, "one metric that so few samples have, over MACs and over time"
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert sorted(texts) == ["cfg=0", "cfg=4", "draft", "real", "target"]
    points = {tuple(np.asarray(line.get_xdata())) for line in figure.axes[0].lines if line.get_marker() == "o"}
    assert points == {(arm.cost,) for arm in record.arms.values() if arm.cost}
    with style.styled():
        assert len(quality_cost.quality_cost(replace(record, timing=Timing())).axes) == 1


def test_a_study_without_metrics_has_no_such_figure(promoted: Path) -> None:
    for other in read(promoted):
        assert not {"quality_cost", "sample_sheet"} & set(figures.names_of(outline_of(other)))


def test_the_sheet_holds_every_picture_enlarged_by_a_whole_factor_and_otherwise_untouched(
    record: Record, scored: Path, tmp_path: Path
) -> None:
    with style.styled():
        figure = sample_sheet.sample_sheet(record, finder(scored))
        _, png = style.save(figure, tmp_path, "sheet")
    sheet = np.asarray(Image.open(png).convert("RGB")).astype(int)
    windows = np.lib.stride_tricks.sliding_window_view(sheet[::1, ::1], (128, 128, 3))[:, :, 0]
    for arm in record.arms.values():
        for i in (0, 21):
            path = scored / "thumbnails" / f"{arm.samples[i].image[:16]}.png"
            wanted = np.asarray(Image.open(path)).repeat(2, 0).repeat(2, 1)
            corner = (windows[:, :, 0, 0] == wanted[0, 0]).all(-1) & (windows[:, :, 64, 64] == wanted[64, 64]).all(-1)
            assert any((windows[y, x] == wanted).all() for y, x in np.argwhere(corner)), path


def test_eight_samples_of_all_shapes_and_materials_are_promoted(record: Record, scored: Path) -> None:
    rows = sample_sheet.kept(record, finder(scored))
    heads = [sample_sheet.said(record, i) for i in rows]
    assert len(heads) == 8 and len({word for head in heads for word in head.split()}) == 4 + 6
    assert len(list((scored / "thumbnails").iterdir())) == 8 * len(record.arms)


@pytest.mark.parametrize(
    ("count", "many", "rows"), [(2, False, 2), (99, False, 4), (5, True, 5), (24, True, 8), (9999, True, 8)]
)
def test_no_more_are_shown_than_there_are(count: int, many: bool, rows: int) -> None:
    found = chosen(count, many=many)
    assert len(found) == rows and max(found) < count


def test_the_page_shows_arms_down_and_samples_across(scored: Path, tmp_path: Path) -> None:
    import shutil

    reports = Path(shutil.copytree(scored, tmp_path / "reports"))
    build(reports)
    text = (reports / "index.html").read_text()
    assert text.count("<th>flat circle</th>") == 1
    assert text.count('src="thumbnails/') == 5 * 8
    assert 'class="badge ">open' in text
    assert "16 more samples stand in the record" in text


@pytest.mark.parametrize(
    ("wanted", "low", "high", "found"),
    [
        ([1, 20], 0, 100, [1, 20]),
        ([5, 5], 0, 100, [0, 10]),
        ([50, 50, 50], 0, 100, [40, 50, 60]),
        ([99, 99], 0, 100, [90, 100]),
        ([0, 1, 95], 0, 100, [0, 10, 95]),
        ([], 0, 100, []),
    ],
)
def test_names_move_no_further_than_they_must(wanted: list[float], low: float, high: float, found: list[float]) -> None:
    assert spread(wanted, apart=10, low=low, high=high) == found


def test_names_of_a_crowd_stand_apart_in_the_order_of_their_points_inside_the_frame() -> None:
    dice = np.random.default_rng(0)
    for _ in range(50):
        labels = [Label(float(x), float(y), "cfg=1.5", "k") for x, y in dice.uniform(10, 150, (9, 2))]
        labels += [Label(80.0, float(y), "skip", "k") for y in dice.uniform(40, 50, 4)]
        placed = arrange(labels, size=6, frame=(0, 0, 200, 160))
        assert {id(label) for label, _, _ in placed} == {id(label) for label in labels}
        column = sorted((label.y, middle) for label, _, middle in placed if label.text == "skip")
        assert [middle for _, middle in column] == sorted(middle for _, middle in column)
        middles = sorted(middle for _, middle in column)
        assert all(b - a > 7.19 for a, b in itertools.pairwise(middles))
        assert all(0 <= middle <= 160 for _, _, middle in placed)
