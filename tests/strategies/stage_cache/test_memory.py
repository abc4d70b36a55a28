"""The memory that is announced before a run is what slots take in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sdaccel.generators.base import torch_dtype
from sdaccel.generators.hart.generator import Hart
from sdaccel.strategies.stage_cache.measure import StageSimilarity
from sdaccel.strategies.stage_cache.rule import Slots
from sdaccel.studies.arms import prices
from sdaccel.studies.estimate import arm_memory
from tests.generators.hart import tiny
from tests.strategies import pair
from tests.strategies.stage_cache.test_stage_cache import ALIKE, HART, VAR, chain
from tests.studies.frame import plan

MODELS = pytest.mark.parametrize(
    "generator",
    [VAR, replace(VAR, engine="fast", dtype="bfloat16"), HART, replace(HART, dtype="float64")],
    ids=["var", "var_fast_bfloat16", "hart", "hart_float64"],
)
ROWS = 3
"""Pictures of a generation of both."""


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[int, ...], int]:
    """Bytes of all outputs that are written into slots; the similarities themselves are a number each."""
    sizes: dict[tuple[int, ...], int] = {}
    write = Slots.write

    def watched(self: Slots, stage: int, layer: int, kind: Any, y: torch.Tensor) -> None:
        write(self, stage, layer, kind, y)
        if y.ndim == 3:
            sizes[stage, layer, len(kind)] = self.held[stage, layer, kind].nbytes

    monkeypatch.setattr(Slots, "write", watched)
    return sizes


def generate(generator: Any, strategy: Any) -> None:
    if isinstance(generator, Hart):
        tiny.generate(generator, strategy=strategy)
    else:
        pair.generate(generator.build(pair.CPU), strategy)


@MODELS
@pytest.mark.parametrize("strategy", ["forced", "alike", "attention", "measured"])
def test_the_estimate_is_what_slots_take(generator: Any, strategy: str, taken: dict[tuple[int, ...], int]) -> None:
    own = {
        "forced": chain(generator),
        "alike": chain(generator, force=False, similarity=ALIKE),
        "attention": chain(generator, enable_mlp_cache=False),
        "measured": StageSimilarity(),
    }[strategy]
    generate(generator, own)
    size = torch_dtype(generator.dtype).itemsize
    assert sum(taken.values()) == ROWS * own.state_bytes(generator.cost(), size) > 0


def test_before_a_calibration_everything_eligible_is_counted() -> None:
    cost = HART.cost()
    waiting, forced = chain(HART, force=False, calibrate=True), chain(HART)
    assert (
        waiting.state_bytes(cost, 4)
        == forced.state_bytes(cost, 4)
        > chain(HART, skip_stages=[], cache_stages=[]).state_bytes(cost, 4)
    )


def test_the_estimate_of_a_run_counts_it(tmp_path: Path) -> None:
    study = plan(
        "generator=hart_tiny",
        "+study.arms.own={strategy: stage_cache_late-3, force: true}",
        "+study.arms.baseline={strategy: original}",
        "data.batch_size=4",
        output=tmp_path,
    )
    priced = prices(study.arms)
    own, baseline = (arm_memory(arm, priced[arm.name], batch_size=4) for arm in study.arms)
    outputs = 2 * 2 * (4 + 9 + 16)  # layers, sublayers, tokens
    assert own - baseline == 4 * outputs * 2 * 64 * 4  # batch, rows of guidance x width, bytes
