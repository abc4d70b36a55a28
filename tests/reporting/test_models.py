"""The models that ship, on the page: what result.json and the curve say, and nothing damaged in silence."""

import json
from pathlib import Path

import numpy as np
import pytest

from sdaccel.errors import BadInput
from sdaccel.reporting import models, style
from sdaccel.reporting.build import build
from tests.conftest import ROOT


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    folder = tmp_path / "zoo" / "judge_mini"
    folder.mkdir(parents=True)
    result = {"model": "judge_mini", "seconds": 9.4, "device": "cpu", "bytes": 2048, "mean_accuracy": 0.98765}
    (folder / "result.json").write_text(json.dumps(result | {f"accuracy/{name}": 1.0 for name in "abc"}))
    curve = [{"step": s, "seconds": s / 10, "used": 0.1, "accuracy": s / 200, "loss": 100 / (s + 1)} for s in range(0, 200, 50)]
    (folder / "curve.jsonl").write_text("".join(json.dumps(point) + "\n" for point in curve))
    return tmp_path


def test_the_table_says_what_it_reaches_weighs_and_cost(zoo: Path) -> None:
    (row,) = models.models(models.read(zoo)).rows
    assert row == ("judge_mini", "mean accuracy 0.988; accuracy of all 3 attributes 1", 2, 9, 151, "cpu")


def test_parts_are_listed_and_parts_of_a_whole_are_not() -> None:
    found = {"cross_entropy": 2.0, "cross_entropy/1x1": 3.0, "psnr/a": 30.0, "psnr/b": 31.0, "psnr/b/dark": 29.0}
    assert models.reached(found) == "cross entropy 2; psnr: a 30, b 31"


def test_the_curve_shows_loss_and_the_key_figure(zoo: Path) -> None:
    (model,) = models.read(zoo)
    with style.styled():
        loss, key = models.curve(model).axes
    assert list(np.asarray(loss.lines[0].get_ydata())) == [point["loss"] for point in model.curve]
    assert (loss.get_yscale(), key.get_title(loc="left"), key.get_yscale()) == ("log", "accuracy", "linear")


def test_a_report_links_every_curve_and_makes_the_same_bytes_again(zoo: Path) -> None:
    first = {path: path.read_bytes() for path in build(zoo).written}
    assert {path.name for path in first} == {"curve.pdf", "curve.png", "index.html"}
    text = (zoo / "index.html").read_text()
    assert "Models that ship" in text and 'src="zoo/judge_mini/curve.png"' in text
    assert {path: path.read_bytes() for path in build(zoo).written} == first


def test_a_damaged_model_is_named(zoo: Path) -> None:
    (zoo / "zoo" / "judge_mini" / "curve.jsonl").write_text('{"step": 0}\n')
    with pytest.raises(BadInput, match=r"judge_mini is no trained model .*loss"):
        models.read(zoo)


def test_the_committed_models_can_be_shown() -> None:
    with style.styled():
        for model in models.read(ROOT / "reports"):
            assert models.curve(model).axes and model.name == model.result["model"]
