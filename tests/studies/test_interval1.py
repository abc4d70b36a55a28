"""The headline study at few steps, and that it bites: what it must notice makes it fail."""

from pathlib import Path

import pytest

from sdaccel.errors import BadInput
from sdaccel.strategies.controls import MUTANTS
from sdaccel.strategies.forecast.base import Forecast
from tests.studies.frame import INTERVAL1 as STUDY
from tests.studies.frame import SMALL, plan, run, run_argv

STEPS = "generator.num_steps=13"  # past first_enhance=10


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return run(*STUDY, STEPS, output=tmp_path_factory.mktemp("interval1"))


def test_every_honest_arm_passes_every_check(record: dict) -> None:
    honest = [v for v in record["content"]["checks"] if not v["control"]]
    assert record["content"]["verdict"] == "pass"
    assert all(v["passed"] for v in honest)
    arms = {v["arm"] for v in honest}
    tiny = {arm for arm in arms if not arm.startswith("mini")}
    assert len(tiny) == 24, "in two number formats: two modes x (three warm-ups + a second image), four of sparse operators"
    assert len(arms - tiny) == 10, "two modes in two number formats and one at 50 steps, both dense and sparse"


def test_every_mutant_is_a_control_and_fails_the_check_it_names(record: dict) -> None:
    controls = {arm["control"]["mutant"]: name for name, arm in record["content"]["arms"].items() if arm["control"]}
    of_forecasts = {name for name, mutant in MUTANTS.items() if mutant.of is Forecast}
    assert set(controls) == of_forecasts - {"naive_stack"}, "which is several of them at once"
    for name in controls.values():
        fails = record["content"]["arms"][name]["control"]["fails"]
        (verdict,) = [v for v in record["content"]["checks"] if v["arm"] == name and v["check"] == fails]
        assert not verdict["passed"], name


def test_forecasts_are_evaluated_on_the_way(record: dict) -> None:
    per_step = record["content"]["arms"]["B[mode=hicache,first_enhance=3,dtype=float32]"]["per_step"]
    assert per_step["forecast_error"][0] is None, "nothing can be forecast at the first step"
    assert all(error > 0 for error in per_step["forecast_error"][1:])
    assert all(error > 0 for error in per_step["reuse_error"][1:])


def test_a_control_that_its_check_lets_through_fails_the_study(tmp_path: Path) -> None:
    control = (
        "+study.controls.blind={for: B, mode: hicache, interval: 1, audit: true, mutant: dropped_norm, fails: anchors_written}"
    )
    content = run(*STUDY, STEPS, "data.limit=1", control, output=tmp_path)["content"]
    assert content["verdict"] == "fail"
    assert any("blind" in reason for reason in content["failures"])


def test_interval_2_fails_the_study_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["study.arms.B.interval=2", "study.arms.B.first_enhance=1"]
    assert run_argv([*SMALL, *STUDY, STEPS, "data.limit=1", *wrong, f"output={tmp_path}"]) == 1
    out = capsys.readouterr().out
    assert "equal failed for B" in out
    assert "all_full failed for B" in out


def test_a_comparison_without_a_single_partner_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="matches 3 arms of B"):
        plan(*STUDY, "study.checks=[{equal: [B, B2]}]", "study.controls.dropped_norm.for=B2", output=tmp_path)


def test_images_before_are_really_generated_by_the_same_objects() -> None:
    import torch

    from sdaccel.conditions import batches
    from sdaccel.generators.flux.generator import Flux
    from sdaccel.predict.module import Predict
    from sdaccel.strategies.forecast.strategy import Taylor
    from sdaccel.strategies.plain import Dense

    class Counting(Taylor):
        def start(self, seam, *, steps):  # type: ignore[no-untyped-def]
            started.append(seam.inputs["encoder_hidden_states"].clone())
            return super().start(seam, steps=steps)

    started: list[torch.Tensor] = []
    runtime = Flux(num_steps=2, height=8, width=8).build(torch.device("cpu"))
    batch = batches(["a cat"], seed=0, size=1)[0]
    module = Predict(runtime, backend=Dense(), strategy=Counting(), keep=[], images_before=2)
    last = module.predict_step(batch, 0)
    assert len(started) == 3
    alone = Predict(runtime, backend=Dense(), strategy=Taylor(), keep=[], images_before=0).predict_step(batch, 0)
    assert torch.equal(last.images, alone.images), "the images before leave nothing behind"


def test_the_mac_ceiling_is_all_steps_over_the_full_ones_and_the_ends_of_the_others(tmp_path: Path) -> None:
    content = run("strategy=taylor", "strategy.interval=5", "generator.num_steps=13", "data.limit=1", output=tmp_path)[
        "content"
    ]
    assert content["arms"]["run"]["kinds"] == {"full": 5, "forecast": 8}  # 0 1 2 7 12
    assert 13 / (5 + 8 * 0.02) < content["arms"]["run"]["mac_ceiling"] < 13 / 5, "a forecast runs the ends of the model"
    assert content["arms"]["baseline"]["mac_ceiling"] == 1
