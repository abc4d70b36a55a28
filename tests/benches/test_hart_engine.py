"""The benchmark of HART's engines: its floor is the loop's own work, prompts are read before, and every scale has its time."""

from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import torch

from sdaccel.benches import runner
from sdaccel.benches.engines import Engines, generate, split
from sdaccel.benches.hart_engine import HartEngine, work
from sdaccel.benches.var_engine import VarEngine
from sdaccel.cli.bench import main
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.nextscale.engine import generated
from sdaccel.records.promote import promote
from sdaccel.records.read import load
from sdaccel.records.view import Record
from sdaccel.reporting.bench import split as table
from sdaccel.reporting.build import build
from tests.conftest import CONF
from tests.generators.hart import tiny
from tests.generators.hart.tiny import CPU, SEEDS, TINY, built, told
from tests.generators.test_engine import TINY as VAR

BENCH = HartEngine()
PHASES = {"text", "canvas", "blocks", "head and sampling", "codes and residual head", "decode"}
TFLOP = 2e-12
"""Of a multiply-accumulate."""


@pytest.mark.parametrize("options", [{}, {"residual": False}, {"cfg": 1.5}], ids=str)
@pytest.mark.parametrize("size", [1, 3])
def test_the_floor_counts_the_macs_of_the_cost_model_and_reads_weights_once_per_scale(
    size: int, options: dict[str, float]
) -> None:
    config = replace(TINY, **options)  # type: ignore[arg-type]
    stages, cost = work(config, size), config.cost()
    assert sum(stage.macs for stage in stages) == pytest.approx(size * (sum(cost.macs) + cost.decode_macs))
    scales, head = stages[1:-2], stages[-2]
    assert len(scales) == TINY.steps
    blocks = 4 * (2 * (4 * 32**2 + 3 * 32 * 48) + 32 * 64)
    assert all(blocks < stage.bytes < (1 + 0.7 * size) * blocks for stage in scales)
    assert (head.macs, head.bytes) == (0, 0) if options == {"residual": False} else min(head.macs, head.bytes) > 0


def test_the_published_size_computes_what_was_counted_of_the_official_code() -> None:
    """h200_anchors: 44.4 TFLOP in the transformer, 4.8 in the residual head, 6.46 in the decoder.

    The official head embeds the time for every token of both rows, ours once per step.
    """
    config = Hart(dtype="float16")
    stages = work(config, 1)
    transformer, head, decoder = sum(stage.macs for stage in stages[:-2]), stages[-2].macs, stages[-1].macs
    times = config.head_steps * 2 * 64**2 * (256 * 1024 + 1024**2)
    assert [transformer * TFLOP, (head + times) * TFLOP, decoder * TFLOP] == pytest.approx([44.4, 4.8, 6.46], rel=0.005)
    text_kv = 24 * 2 * 2 * 1536 * (300 + 300)
    assert stages[1].bytes == pytest.approx(2 * (732.4e6 - 36.6e6 + text_kv), rel=0.02), "half weights, and the text's K and V"


@pytest.mark.parametrize("engine", ["eager", "autocast"])
def test_a_generation_is_split_by_scale_and_leaves_the_engine_as_it_was(engine: str) -> None:
    runtime = built(replace(TINY, engine=engine, dtype="bfloat16"))
    before = tiny.generate(runtime.config).images
    found = split(runtime, told(TINY), SEEDS, ends=HartEngine.ends)
    assert set(found["phases"]) == PHASES
    assert [scale["side"] for scale in found["scales"]] == TINY.patch_nums
    assert all(seconds > 0 for scale in found["scales"] for seconds in scale["phases"].values())
    for phase in PHASES - {"text", "decode"}:
        assert sum(scale["phases"][phase] for scale in found["scales"]) == pytest.approx(found["phases"][phase])
    *others, last = (scale["phases"]["codes and residual head"] for scale in found["scales"])
    assert last > 5 * median(others), "the residual head runs on the last scale alone"
    assert torch.equal(tiny.generate(runtime.config).images, before)


def test_prompts_are_read_before_the_clock_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = TINY.build(CPU)
    ready = BENCH.told(runtime, BENCH.conditions(TINY, 2))
    monkeypatch.delattr(runtime, "reader")
    generate(runtime, ready, SEEDS[:2])


@pytest.mark.parametrize(("bench", "config"), [(BENCH, TINY), (VarEngine(), VAR), (VarEngine(), replace(VAR, engine="fast"))])
def test_an_engine_built_anew_makes_the_same_pictures_on_memory_of_its_own(bench: Engines, config: Hart) -> None:
    first = config.build(CPU)
    second = bench.anew(first)
    ready = bench.told(first, bench.conditions(config, 2))
    held = [{p.data_ptr() for p in r.parameters()} for r in (first, second)]
    assert held[0].isdisjoint(held[1]) and len(held[0]) == len(held[1])
    images = [generated(r.start(ready, SEEDS[:2]), scales=config.steps, strategy=None, keep=()).images for r in (first, second)]
    assert torch.equal(*images)


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench")
    assert main(["+bench=hart_engine", "bench.batch_sizes=[1]", "bench.repeats=2", f"output={folder}"]) == 0
    return folder


@pytest.fixture
def record(output: Path) -> Record:
    (path,) = output.glob("*/record.json")
    return load(path)


def test_the_record_has_both_engines_beside_their_floor_and_every_scale(record: Record) -> None:
    arms = record.timing.cases["batch 1"].arms
    assert list(arms) == ["autocast", "eager"]
    for arm in arms.values():
        assert arm.floor_seconds and 0 < arm.floor_seconds < arm.seconds.p50
        assert set(arm.phases) == PHASES and [scale.side for scale in arm.scales] == [1, 2, 3, 4, 6]
    assert runner.verify(record, conf=CONF) == [], "no clock decides the content"


def test_the_report_tells_time_by_phase_and_the_blocks_by_scale(record: Record, output: Path, tmp_path: Path) -> None:
    rows = {str(part): times for part, *times in table(record).rows}
    scales = [name for name in rows if name.startswith("blocks of scale")]
    assert set(rows) == PHASES | set(scales) and len(scales) == 5
    assert scales[-1] == "blocks of scale 4, 6 x 6"
    for arm in range(2):
        assert sum(rows[name][arm] for name in scales) == pytest.approx(rows["blocks"][arm])  # type: ignore[misc]
    (path,) = output.glob("*/record.json")
    promote(path, samples=output / "samples", reports=tmp_path)
    made = build(tmp_path)
    assert made.skipped == []
    written = {file.name for file in made.written}
    assert {"bench.csv", "split.csv", "bench_times.png", "index.html"} <= written
    page = (tmp_path / "index.html").read_text()
    assert "bench.py +bench=hart_engine" in page and "blocks of scale 4, 6 x 6" in page and "random weights" in page


def test_a_profile_of_a_gpu_is_told_below_the_phases(record: Record) -> None:
    case = record.timing.cases["batch 1"]
    arms = {"eager": replace(case.arms["eager"], busy_seconds=0.2, launches=7)}
    timing = replace(record.timing, cases={"batch 1": replace(case, arms=arms)})
    assert table(replace(record, timing=timing)).rows[-2:] == [("GPU busy", 200.0), ("launches", 7)]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["generator=var_tiny"], "needs a HART, not Var; set generator=hart_0.7b"),
        (["bench.arms.autocast.dtype=float32"], "autocast casts to half precision"),
        (["bench.batch_sizes=[]"], "batch_sizes=[] must list"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    overrides: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["+bench=hart_engine", *overrides]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
