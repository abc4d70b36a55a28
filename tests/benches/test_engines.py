"""The benchmark of engines: its floor is the loop's own work, and its record is reproducible where it can be."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sdaccel.benches import runner
from sdaccel.benches.engines import split
from sdaccel.benches.var_engine import VarEngine, agreements, work
from sdaccel.cli.bench import main
from sdaccel.generators.var.generator import Var
from sdaccel.measure.compiles import compiled_graphs
from sdaccel.measure.energy import joules
from sdaccel.measure.floor import Ceilings, Work, ceilings, floor
from sdaccel.measure.profile import busiest
from sdaccel.measure.speedup import Speedup, speedup
from sdaccel.measure.timing import summary
from sdaccel.records.promote import promote
from sdaccel.records.read import load
from sdaccel.records.view import Record
from sdaccel.reporting.build import build
from tests.conftest import CONF
from tests.generators.test_engine import TINY, batch

CPU = torch.device("cpu")
SMALL = ["generator.patch_nums=[1,2,3,4]", "generator.image_size=64", "bench.batch_sizes=[1]", "bench.repeats=2"]


def test_every_stage_is_bound_by_what_it_is_slower_at() -> None:
    machine = Ceilings(bytes_per_second=10.0, flop_per_second=100.0)
    assert floor([Work(bytes=20, macs=5), Work(bytes=1, macs=200)], machine) == 2 + 4


def test_ceilings_are_measured_and_positive() -> None:
    found = ceilings(CPU, torch.float32)
    assert found.bytes_per_second > 1e8
    assert found.flop_per_second > 1e8


@pytest.mark.parametrize("size", [1, 3])
def test_the_floor_counts_the_macs_of_the_cost_model_and_reads_weights_once_per_scale(size: int) -> None:
    stages, cost = work(TINY, size), TINY.cost()
    assert sum(stage.macs for stage in stages) == pytest.approx(size * (sum(cost.macs) + cost.decode_macs))
    assert len(stages) == TINY.steps + 2
    blocks = 4 * (2 * 12 * 128**2 + 128 * 32)
    assert all(blocks < stage.bytes < (1 + 0.2 * size) * blocks for stage in stages[1:-1])


def test_d16_at_batch_1_needs_about_a_millisecond_to_read_its_weights() -> None:
    """h200: half weights without adaLN are read ten times."""
    stages = work(Var(depth=16, dtype="float16"), 1)
    assert sum(stage.bytes for stage in stages[:-1]) / 4.26e12 == pytest.approx(1e-3, rel=0.2)


@pytest.mark.parametrize("engine", ["eager", "fast"])
def test_phases_cover_the_generation_and_leave_the_engine_as_it_was(engine: str) -> None:
    runtime = replace(TINY, engine=engine).build(CPU)
    before = runtime.generate(batch([1], 3), backend=None, strategy=None).images
    found = split(runtime, torch.tensor([1]), torch.tensor([3]), ends=VarEngine.ends)
    assert set(found["phases"]) == {"class and adaLN", "blocks", "head and sampling", "canvas", "decode"}
    assert all(value > 0 for value in found["phases"].values())
    assert [scale["side"] for scale in found["scales"]] == [1, 2, 3, 4]
    for phase in ("blocks", "head and sampling", "canvas"):
        by_scale = sum(scale["phases"].get(phase, 0) for scale in found["scales"])
        assert by_scale == pytest.approx(found["phases"][phase])
    assert torch.equal(runtime.generate(batch([1], 3), backend=None, strategy=None).images, before)


def test_the_busiest_operators_come_first_and_their_shares_are_of_everything() -> None:
    a = torch.randn(400, 400)
    profile = busiest(lambda: [a @ a for _ in range(5)] and a + 1, CPU, count=3)
    assert (profile.busy_seconds, profile.launches) == (None, None), "there is no GPU"
    found = profile.kernels
    assert found[0]["name"] == "aten::mm" and found[0]["runs"] == 5
    assert [row["seconds"] for row in found] == sorted((row["seconds"] for row in found), reverse=True)
    assert 0.5 < found[0]["share"] < sum(row["share"] for row in found) <= 1 + 1e-9


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    assert main(["+bench=var_engine", *SMALL, f"output={folder}"]) == 0
    return folder


@pytest.fixture
def record(output: Path) -> Record:
    (path,) = output.glob("*/record.json")
    return load(path)


def test_a_benchmark_writes_a_record_whose_content_no_clock_decides(record: Record, output: Path, tmp_path: Path) -> None:
    assert record.id.startswith("bench_var_engine-")
    assert record.verdict == "no claim"
    found = record.timing.cases["batch 1"]
    assert set(found.arms) == {"autocast", "eager", "fast"}
    assert all(arm.floor_seconds and arm.floor_seconds > 0 for arm in found.arms.values())
    assert found.arms["autocast"].speedup == Speedup(1.0, n=2)
    for arm in found.arms.values():
        assert vars(arm.seconds) == summary(arm.rounds) and arm.speedup == speedup(found.arms["autocast"].rounds, arm.rounds)
    assert len(found.order) == 2
    assert {arm.recompiled for arm in found.arms.values()} == {0}
    assert {arm.joules for arm in found.arms.values()} == {None}
    assert {len(arm.rounds) for arm in found.arms.values()} == {2}, "every round is kept"
    assert main(["+bench=var_engine", *SMALL, f"output={tmp_path}"]) == 0
    (again,) = tmp_path.glob("*/record.json")
    assert load(again).content == record.content


def test_the_record_says_how_far_the_fast_engine_is_from_eager(record: Record) -> None:
    (found,) = record.timing.agreement.values()
    assert found.tokens == 2 * 30
    assert found.unexplained == 0
    assert found.relative_l2 < 1e-5


def test_another_number_format_is_compared_with_the_reference_of_the_first() -> None:
    half = replace(TINY, engine="fast", dtype="bfloat16").build(CPU)
    found = agreements({"eager": TINY.build(CPU), "half": half}, CPU)
    assert 1e-4 < found["half"]["relative_l2"] < 2e-2
    assert found["half"]["unexplained"] == 0
    assert agreements({"half": half}, CPU) == {}


def test_verifying_runs_no_clock_and_sees_another_configuration_or_other_work(record: Record) -> None:
    assert record.bench and record.bench.name == "var_engine"
    assert runner.verify(record, conf=CONF) == []
    changed = replace(record, content={**record.content, "work": {"batch 1": {"bytes": 1, "macs": 1}}})
    assert [line.partition(" ")[0] for line in runner.verify(changed, conf=CONF)] == ["work"]
    command = [*record.provenance.command, "generator.depth=3"]
    changed = replace(changed, provenance=replace(record.provenance, command=command))
    assert [line.partition(" ")[0] for line in runner.verify(changed, conf=CONF)] == ["config", "work"]


def test_a_promoted_benchmark_has_its_table_and_its_figure_in_the_report(output: Path, tmp_path: Path) -> None:
    (path,) = output.glob("*/record.json")
    target = promote(path, samples=output / "samples", reports=tmp_path)
    assert target.parent == tmp_path / "results" / "bench_var_engine"
    written = {made.name for made in build(tmp_path).written}
    assert written == {
        "agreement.csv",
        "agreement.tex",
        "bench.csv",
        "kernels.csv",
        "kernels.tex",
        "bench.tex",
        "bench_times.pdf",
        "bench_times.png",
        "index.html",
        "split.csv",
        "split.tex",
    }
    page = (tmp_path / "index.html").read_text()
    assert "bench.py +bench=var_engine" in page and "bench_times.png" in page
    assert "random weights" in page and "no claim" in page and "open<" not in page


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ([], "no benchmark is chosen"),
        (["+bench=var_engine", "generator=flux_tiny"], "needs a VAR, not Flux"),
        (["+bench=var_engine", "device=tpu"], "device=tpu is unknown"),
        (["+bench=var_engine", "bench.repeats=0"], "repeats=0"),
        (["+bench=var_engine", "generator.num_classes=0"], "num_classes=0"),
        (["+bench=nothing"], "nothing"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    overrides: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(overrides) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_graph_compiled_is_counted_and_one_compiled_again_too() -> None:
    double = torch.compile(lambda x: x + x, dynamic=False, backend="eager")
    before = compiled_graphs()
    double(torch.ones(2))
    double(torch.ones(2))
    assert compiled_graphs() - before == 1
    double(torch.ones(3))
    assert compiled_graphs() - before == 2


def test_a_cpu_counts_no_joules() -> None:
    assert joules(lambda: None, CPU, seconds=1) is None


def test_options_change_the_generator_of_their_arm_alone() -> None:
    bench = VarEngine(arms={"a": {}, "b": {"engine": "fast", "dtype": "float64"}})
    configs = bench.configs(TINY)
    assert configs["a"] == TINY
    assert (configs["b"].engine, configs["b"].dtype) == ("fast", "float64")
