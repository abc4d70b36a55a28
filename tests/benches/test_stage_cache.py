"""The benchmark of forced plans on a tiny HART and a tiny VAR: what it records, the law of its sums, and what it refuses."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pytest
import torch

from sdaccel.benches import runner
from sdaccel.benches.stage_cache import TARGET, WIDEST, ForcedPlans, forced, mac_ceiling, predicted, priced_anew
from sdaccel.errors import BadInput
from sdaccel.generators.hart.generator import Hart
from sdaccel.records.read import view_of
from sdaccel.records.view import Record
from sdaccel.reporting.stage_cache_bench import parts_table, plans_table
from sdaccel.strategies.stage_cache.maps import MAPS
from sdaccel.strategies.stage_cache.presets import PRESETS, preset
from sdaccel.strategies.stage_cache.strategy import StageCache
from tests.conftest import CONF

NAMES = ["no-cache", "late-1", "late-2", "late-3"]
SMALL = ["+bench=stage_cache", f"bench.presets=[{','.join(NAMES)}]", "bench.repeats=2"]
TINY: dict[str, list[str]] = {
    "hart": ["generator=hart_tiny", "generator.engine=autocast", "generator.dtype=bfloat16", "bench.batch_sizes=[2]"],
    "var": [
        "generator=var_tiny",
        "generator.engine=fast",
        "generator.image_size=5",
        "generator.ch_mult=[1]",
        "generator.patch_nums=[1,2,3,4,5]",
    ],
}
SEEDS = ["conservative-cache", "original-cache", "aggressive-cache", "ultra-fast", "late-1", "late-2", "late-3"]


@pytest.fixture(scope="module", params=list(TINY))
def record(request: pytest.FixtureRequest) -> Record:
    return view_of(runner.run(runner.plan([*SMALL, *TINY[request.param]], conf=CONF)))


def test_every_plan_has_its_clock_its_ceiling_and_its_sum_of_parts(record: Record) -> None:
    for case in record.timing.cases.values():
        arms = case.arms
        wide = arms.pop(WIDEST)  # type: ignore[attr-defined]
        assert [alike for name in arms for alike in name.split(" = ")] == [TARGET, *NAMES]
        ceilings = [arm.mac_ceiling or 0.0 for arm in arms.values()]
        assert ceilings == sorted(ceilings) and ceilings[:2] == [1, 1] and (wide.mac_ceiling or 0) >= ceilings[-1]
        assert all((arm.predicted is None) == (name == TARGET) for name, arm in arms.items()) and wide.predicted is None
        assert arms["no-cache"].predicted == arms[TARGET].seconds, "what reuses nothing is the target"
    assert runner.verify(record, conf=CONF) == [], "no clock decides the content"


def test_phases_of_a_generation_are_all_of_its_time(record: Record) -> None:
    for case, parts in record.timing.parts.items():
        scales = len([name for name in parts if name.startswith("scale ") and name.endswith(TARGET)])
        assert len(parts) == 2 * (scales + 2)
        whole = sum(part.p50 for name, part in parts.items() if name.endswith(TARGET))
        assert whole == pytest.approx(record.timing.cases[case].arms[TARGET].seconds.p50, rel=0.5)


def test_the_report_reads_it(record: Record) -> None:
    plans, parts = plans_table(record), parts_table(record)
    assert len(plans.rows) == sum(len(case.arms) for case in record.timing.cases.values())
    assert {row[-1] for row in plans.rows} <= {"yes", "no", None}
    failed = replace(record.timing, failed={"batch 2": {"late-3": "no memory is left"}})
    assert plans_table(replace(record, timing=failed)).rows[-1][-1] == "failed: no memory is left"
    assert parts.columns[2:] == (f"{TARGET} (ms) [p10, p90]", f"{WIDEST} (ms) [p10, p90]")


def test_a_sum_of_parts_takes_the_phases_that_a_plan_changes_from_the_plan_that_reuses_all() -> None:
    computed, served = np.array([[1.0, 2, 3, 4], [2.0, 2, 3, 5]]), np.array([[0.5, 2, 1, 1], [2.0, 1, 1, 1]])
    assert predicted([10, 12], computed, served, own=[]) == [10, 12]
    assert predicted([10, 12], computed, served, own=[0, 3]) == [6.5, 8]
    assert predicted([10, 12], computed, served, own=range(4)) == [4.5, 5]


def test_the_published_plans_reuse_the_scales_that_they_name() -> None:
    found = {name: priced_anew(forced(preset(name, MAPS["v2"])), MAPS["v2"], layers=2) for name in ("no-cache", *SEEDS)}
    assert found["no-cache"] == [] and found["late-2"] == [13, 14]
    assert found["conservative-cache"] == [9] and found["ultra-fast"] == [5, 6, 7, 8, 9, 10]
    assert list(ForcedPlans(presets=SEEDS).plans(MAPS["v1"])) == [
        "conservative-cache = late-1",
        "original-cache = late-2",
        *SEEDS[2:4],
        "late-3",
    ]


def test_forcing_keeps_of_a_preset_what_decides_its_plan() -> None:
    for name, each in PRESETS.items():
        if not each.mend:
            options = preset(name, MAPS["v2"])
            ours, whole = (plan.planned(MAPS["v2"], 2) for plan in (forced(options), StageCache(force=True, **asdict(options))))
            assert (ours.events, ours.stored) == (whole.events, whole.stored)


def test_the_ceilings_at_the_published_size() -> None:
    """Head and decoder included, keys and values of reused stages appended."""
    cost = Hart(engine="autocast", dtype="float16").cost()
    found = {name: mac_ceiling(forced(preset(name, MAPS["v2"])), cost) for name in SEEDS}
    assert [found[f"late-{count}"] for count in (1, 2, 3)] == pytest.approx([1.7, 2.4, 2.9], abs=0.05)
    assert all(1 < found[name] < 1.07 for name in SEEDS[:4])


def test_an_arm_that_cannot_run_leaves_the_others_their_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: StageCache, seam: Any, *, steps: int) -> Any:
        if len(self.skip_stages) == 1:
            raise torch.OutOfMemoryError("no memory is left\nfor more")
        return original(self, seam, steps=steps)

    original = StageCache.start
    monkeypatch.setattr(StageCache, "start", start)
    plan = runner.plan([*SMALL, *TINY["var"], "bench.repeats=1"], conf=CONF)
    made = plan.benchmark.run(plan.generator, plan.device)
    assert made["failed"] == {"batch 1": {"late-1": "no memory is left"}}
    assert list(made["cases"]["batch 1"]["arms"]) == [TARGET, "no-cache", "late-2", "late-3", WIDEST]


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["generator=flux_tiny"], "bench=stage_cache needs a HART or a VAR, not Flux; set generator=hart_0.7b or var_d30."),
        (["bench.presets=[late-4]"], "preset late-4 is unknown"),
        (["bench.presets=[demo-fast]", "generator=var_d30"], "preset demo-fast-mended does the former"),
        (["bench.presets=[]"], r"bench.presets=\[\] leaves nothing beside the target"),
        (["bench.batch_sizes=[0]"], "bench.batch_sizes=.0. must list positive numbers"),
        (["bench.repeats=0"], "bench.repeats=0"),
    ],
)
def test_bad_input_is_one_sentence(overrides: list[str], says: str) -> None:
    with pytest.raises(BadInput, match=says) as error:
        runner.plan(["+bench=stage_cache", *overrides], conf=CONF)
    assert "\n" not in str(error.value)
