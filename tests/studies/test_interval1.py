"""The headline study at few steps, and that it bites: what it must notice makes it fail."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from sdaccel.errors import BadInput
from sdaccel.records.view import Record
from sdaccel.registry import name_of
from sdaccel.strategies.controls import MUTANTS
from sdaccel.strategies.forecast.base import Forecast
from tests.generators.flux.tiny import MODES
from tests.studies.frame import INTERVAL1 as STUDY
from tests.studies.frame import SMALL, plan, run, run_argv

STEPS = "generator.num_steps=13"  # past first_enhance=10
ONE = (*STUDY, STEPS, "data.limit=1")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of all studies here: arms that several of them have are generated once."""
    return tmp_path_factory.mktemp("interval1")


@pytest.fixture(scope="module")
def record(output: Path) -> Record:
    return run(*ONE, output=output)


def test_every_honest_arm_passes_every_check(record: Record) -> None:
    honest = [v for v in record.checks if not v.control]
    assert record.verdict == "pass"
    assert all(v.passed for v in honest)
    arms = {v.arm for v in honest}
    mini, audited = ({arm for arm in arms if arm.startswith(part)} for part in ("mini", ("all", "above", "held")))
    assert len(arms - mini - audited) == 24, "in two formats: two strategies x (three warm-ups + a second image), four sparse"
    assert len(mini) == 10, "two strategies in two formats and one at 24 steps, both dense and sparse"
    assert len(audited) == 16, "both dense and sparse: two strategies at interval 1, one and two that hold at 3 and 5"


def test_every_mutant_is_a_control_and_fails_the_check_it_names(record: Record) -> None:
    controls = {arm.control.mutant: arm for arm in record.arms.values() if arm.control}
    of_forecasts = {name for name, mutant in MUTANTS.items() if mutant.of is Forecast}
    assert set(controls) == of_forecasts - {"naive_stack"}, "which is several of them at once"
    for arm in controls.values():
        (verdict,) = [v for v in record.checks if arm.control and (v.arm, v.check) == (arm.name, arm.control.fails)]
        assert not verdict.passed, arm.name


def test_forecasts_are_evaluated_on_the_way(record: Record) -> None:
    per_step = record.arms["B[strategy=hicache,first_enhance=3,dtype=float32]"].per_step
    assert per_step["forecast_error"][0] is None, "nothing can be forecast at the first step"
    assert all(error and error > 0 for error in [*per_step["forecast_error"][1:], *per_step["reuse_error"][1:]])


def test_a_control_that_its_check_lets_through_fails_the_study(record: Record, output: Path) -> None:
    blind = "for: B, strategy: hicache, interval: 1, audit: true, mutant: dropped_norm, fails: anchors_written"
    record = run(*ONE, f"+study.controls.blind={{{blind}}}", output=output)
    assert record.verdict == "fail"
    assert any("blind" in reason for reason in record.failures)


def test_interval_2_fails_the_study_and_exits_1(record: Record, output: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = ["study.arms.B.interval=2", "study.arms.B.first_enhance=1"]
    assert run_argv([*SMALL, *ONE, *wrong, f"output={output}"]) == 1
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
    from sdaccel.predict.module import Ready
    from sdaccel.strategies.forecast.strategy import Taylor
    from sdaccel.strategies.plain import Dense

    class Counting(Taylor):
        def start(self, seam, *, steps):  # type: ignore[no-untyped-def]
            started.append(seam.inputs["encoder_hidden_states"].clone())
            return super().start(seam, steps=steps)

    started: list[torch.Tensor] = []
    runtime = Flux(num_steps=2, height=8, width=8).build(torch.device("cpu"))
    batch = batches(["a cat"], seed=0, size=1)[0]
    last = Ready(runtime, backend=Dense(), strategy=Counting(), keep=[], images_before=2).generate(batch)
    assert len(started) == 3
    alone = Ready(runtime, backend=Dense(), strategy=Taylor(), keep=[], images_before=0).generate(batch)
    assert torch.equal(last.images, alone.images), "the images before leave nothing behind"


def test_the_mac_ceiling_is_all_steps_over_the_full_ones_and_the_ends_of_the_others(tmp_path: Path) -> None:
    arms = run("strategy=taylor", "strategy.interval=5", "generator.num_steps=13", "data.limit=1", output=tmp_path).arms
    assert arms["run"].kinds == {"full": 5, "forecast": 8}  # 0 1 2 7 12
    ceiling = arms["run"].mac_ceiling
    assert ceiling and 13 / (5 + 8 * 0.02) < ceiling < 13 / 5, "a forecast runs the ends of the model"
    assert arms["baseline"].mac_ceiling == 1


def test_the_study_audits_every_strategy_and_warm_up_over_both_backends_above_interval_1(tmp_path: Path) -> None:
    planned = plan("+exp=interval1_equivalence", output=tmp_path).arms
    above = [arm for arm in planned if arm.template.startswith(("above", "held"))]
    assert all(arm.observers == ("audit",) for arm in above)
    found = Counter(
        (name_of(arm.strategy), arm.strategy.interval, arm.strategy.first_enhance, name_of(arm.backend)) for arm in above
    )
    assert found == Counter(itertools.product(MODES, (3, 5), (1, 3, 10), ("dense", "column_sparse")))
