"""A study over solvers: arms at equal evaluations, distances to two references, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdaccel.metrics.paired import psnr
from sdaccel.records.view import Record
from sdaccel.reporting import evaluations, style, winners
from sdaccel.reporting.cells import Range
from sdaccel.samples import Samples
from sdaccel.studies.arms import prices
from sdaccel.studies.content import study_config
from sdaccel.studies.estimate import draw_plan
from tests.studies.frame import changed, plan, run, run_argv

STUDY = (
    "generator.num_steps=50",
    "data.limit=3",
    "data.batch_size=3",
    "metrics=pairs",
    "study.baseline=dense",
    "study.truth=[exact, coarser]",
    "+study.arms.dense={generator.evaluations: 18}",
    "+study.arms.exact={generator.solver: ab2, generator.evaluations: 22}",
    "+study.arms.coarser={generator.solver: ab2, generator.evaluations: 20}",
    "+study.arms.euler={generator.evaluations: [9, 6]}",
    "+study.arms.heun={generator.solver: heun, generator.evaluations: [9, 6]}",
    "+study.arms.taylor={generator.evaluations: 18, strategy: taylor, interval: 3, max_order: 1, first_enhance: 4}",
    "study.figures=[evaluations]",
)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("solvers")


@pytest.fixture(scope="module")
def record(output: Path, clip: Path) -> Record:
    return run(*STUDY, f"metrics.clip={clip}", output=output)


def test_pictures_are_compared_with_both_references(record: Record, output: Path) -> None:
    def pictures(arm: str) -> list[np.ndarray]:
        samples = Samples(output / "samples" / record.folders[arm])
        return [np.asarray(Image.open(samples.image(i))) for i in range(3)]

    for arm in record.arms.keys() - {"dense", "exact"}:
        for metric, reference in (("psnr", "dense"), ("psnr_truth", "exact")):
            own = [psnr(a, b) for a, b in zip(pictures(arm), pictures(reference), strict=True)]
            assert record.arms[arm].values[metric] == pytest.approx(own, rel=1e-5)
    assert record.arms["dense"].values["psnr_truth"] == record.arms["exact"].values["psnr"], "between the two references"
    assert "psnr" not in record.arms["dense"].metrics and "psnr_truth" not in record.arms["exact"].metrics


def test_costs_are_evaluations(record: Record) -> None:
    counts = evaluations.counted(record)
    assert counts == {
        "euler[evaluations=9]": 9,
        "euler[evaluations=6]": 6,
        "heun[evaluations=9]": 9,
        "heun[evaluations=6]": 5,
        "taylor": 8,
    }
    assert all(record.arms[name].cost == count / 18 for name, count in counts.items() if name != "taylor")


def test_the_winner_at_a_cost_may_be_a_cheaper_arm(record: Record) -> None:
    values = {"psnr_truth": [40.0, 41.0, 42.0]}
    heun = record.arms["heun[evaluations=6]"]
    metrics = {**heun.metrics, "psnr_truth": type(heun.metrics["psnr"])(41.0, 40.0, 42.0, 3)}
    each = type(heun.each())(values=values)
    better = changed(record, heun.name, metrics=metrics, each=lambda: each)
    table = evaluations.leaders(better)
    found = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    (row,) = [row for row in found if (row["evaluations at most"], row["metric"]) == (9, "PSNR to the truth (dB)")]
    assert row["best"] == "heun evaluations=6" and {line["evaluations at most"] for line in found} == {9}
    gap = row["better by"]
    assert isinstance(gap, Range) and gap.low is not None
    assert (row["winner"] == "heun evaluations=6") == (gap.low > 0)
    assert winners.difference(better, "psnr_truth", heun.name, heun.name).estimate == 0


def test_the_figure_shows_both_references(record: Record) -> None:
    with style.styled():
        figure = evaluations.evaluations(record)
    assert len(figure.axes) == 4
    labels = {str(line.get_label()) for line in figure.axes[0].lines}
    assert {"euler", "heun", "taylor", "dense to exact"} <= labels


def test_the_plan_prints_what_evaluations_pay_for(tmp_path: Path) -> None:
    arms = plan(*STUDY, output=tmp_path).arms
    drawn = {arm.name: draw_plan(arm, price) for arm, price in zip(arms, prices(arms).values(), strict=True)}
    assert drawn["heun[evaluations=6]"] == "FFFFF 5/5 full, 3 steps of heun for at most 6 evaluations"
    assert drawn["euler[evaluations=6]"] == "FFFFFF 6/6 full"


def test_what_came_later_stands_in_no_record_at_its_default(tmp_path: Path) -> None:
    """So that records from before it keep the hashes of what they are."""
    plain, chosen = (study_config(plan(*argv, output=tmp_path)) for argv in ([], ["generator.solver=ab2"]))
    assert "truth" not in plain["study"] and study_config(plan(*STUDY, output=tmp_path))["study"]["truth"]
    assert not {"solver", "evaluations"} & plain["arms"]["baseline"]["generator"].keys()
    assert chosen["arms"]["baseline"]["generator"]["solver"] == "ab2"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["generator=flux_tiny", "generator.solver=rk4"], "generator.solver=rk4 is unknown"),
        (["generator=flux_schnell", "generator.solver=ab2"], "generator.solver=ab2 does not go with a few-step model"),
        (["generator=flux_tiny", "generator.solver=ab2", "strategy=hicache"], "write generator.solver=euler"),
        (["generator=flux_tiny", "generator.num_steps=5", "generator.evaluations=9"], "has no effect beside"),
        (["generator=flux_tiny", "study.truth=[nobody]"], "study.truth=nobody must be one arm"),
    ],
)
def test_a_mistake_is_one_line(argv: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_argv([*argv, f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert said in err and len(err.splitlines()) == 1, err
