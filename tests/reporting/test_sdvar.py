"""What the report says of a handover and of SDVAR's promises: verdicts by intervals, bounds by formula, open when in doubt."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from sdaccel.generators.base import Cost
from sdaccel.measure.speedup import Speedup
from sdaccel.records.timing import Quantiles, Timed, Timing
from sdaccel.records.view import Arm, Each, Facts, Metric, Model, Part, Record, Sample, Study
from sdaccel.reporting import style, tables
from sdaccel.reporting.cells import Range
from sdaccel.reporting.entry_sweep import entry_sweep, handed_over
from sdaccel.reporting.sdvar_bounds import Work, compute_bound, latency_bound, memory, official, work_of
from sdaccel.reporting.sdvar_claims import claims
from sdaccel.reporting.sdvar_figure import sdvar_claims
from sdaccel.reporting.sdvar_masks import SAYS, descriptions
from sdaccel.strategies.speculative.handover import Handover
from tests.studies.frame import changed

SCALES = 10


def stats(entry: int, sd_mask: int) -> dict[str, Any]:
    reads = sd_mask != 0 and entry < SCALES
    return {
        "target_runs": [int(k >= entry or reads) for k in range(SCALES)],
        "draft_runs": [int(k < entry) for k in range(SCALES)],
        "target_calls": SCALES - entry,
    }


def arm(name: str, fid: float, of: dict[str, Any] | None = None, *, reach: float = 0.01, **point: Any) -> Arm:
    template = name.partition("[")[0]
    sample = Sample(0, "0", stats=of or {})
    return Arm(
        name=name,
        template=template,
        generator=Part("var"),
        backend=Part("dense"),
        strategy=Part("handover" if of else "original", point),
        point=point,
        facts=Facts(models={"generator": Model(scales=[1] * SCALES)}),
        kinds={"full": SCALES},
        macs=100.0,
        mac_ceiling=1.0,
        metrics={
            "fid": Metric(fid, fid - reach, fid + reach, 600),
            "judge.class": Metric(1 / (1 + fid), 0.0, 1.0, 600),
            "fid_difference": Metric(fid - 1, fid - 1 - reach, fid - 1 + reach, 600),
        },
        each=lambda: Each([sample, sample]),
    )


def name_of(entry: int, sd_mask: int) -> str:
    return f"handover[entry_num={entry},sd_mask={sd_mask}]"


def record(**fids: float) -> Record:
    """Handover at every entry and mask that is named `entry_mask`, with its FID; the target has 1."""
    arms = {"target": arm("target", 1.0)}
    for key, fid in fids.items():
        entry, sd_mask = map(int, key.removeprefix("e").split("m"))
        name = name_of(entry, sd_mask)
        arms[name] = arm(name, fid, stats(entry, sd_mask), entry_num=entry, sd_mask=sd_mask)
    timed = {name: Timed(Quantiles(1.0, 1.0, 1.0), "target", speedup=Speedup(1.5, 1.4, 1.6)) for name in arms}
    study = Study("sdvar", baseline="target", figures=["sdvar_claims"])
    return Record(study, arms, timing=Timing(1, timed))


def verdicts(of: Record, claim: str) -> dict[str, str]:
    table = claims(of)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return {str(row["arm"]): str(row["verdict"]) for row in rows if row["claim"] == claim}


def test_a_promise_holds_only_where_the_whole_interval_keeps_it() -> None:
    found = record(e5m3=1.05, e8m3=1.065, e2m3=1.5)
    assert verdicts(found, "FID") == {
        "handover entry_num=5": "holds",
        "handover entry_num=8": "open",
        "handover entry_num=2": "refuted",
    }
    assert set(verdicts(found, "target calls").values()) == {"holds", "refuted"}
    assert set(verdicts(found, "speed-up").values()) == {"holds"}
    assert set(verdicts(found, "memory").values()) == {"open"}, "a CPU measures no memory"
    together = verdicts(found, "all of these at once")
    assert together == {name: "refuted" if name.endswith("=2") else "open" for name in together}


def test_both_documents_are_held_to_their_own_rise_of_fid() -> None:
    found = record(e5m3=1.085)
    assert list(verdicts(found, "FID").values()) == ["refuted"] and list(verdicts(found, "FID loss").values()) == ["holds"]


def test_memory_is_measured_where_a_peak_holds_all_of_it_and_by_formula_elsewhere() -> None:
    found = record(e5m3=1.0)
    models = {"generator": Model(weight_bytes=100), "strategy.draft": Model(weight_bytes=40, shared_bytes=20)}
    peaks = {"target": 50, name_of(5, 3): 55}
    timed = {name: replace(arm, peak_bytes=peaks[name]) for name, arm in found.timing.arms.items()}
    on_gpu = changed(replace(found, timing=Timing(1, timed)), name_of(5, 3), facts=Facts(models=models))
    fast = changed(on_gpu, name_of(5, 3), generator=Part("var", {"engine": "fast"}))
    rows = [next(row for row in claims(each).rows if row[0] == "memory") for each in (on_gpu, fast, found)]
    assert rows[0][3] == Range((100 + 20 + 55) / (100 + 50)) and [row[5] for row in rows] == ["holds", "open", "open"]
    assert [str(row[6]).partition(";")[0] for row in rows] == [
        "The GPU's peak, weights included",
        *["By formula alone: this record has no peak of all that is held"] * 2,
    ]


def test_memory_alone_is_of_the_whole_arm_weights_and_caches_too() -> None:
    found = record(e5m3=1.0)
    held = {"target": 200, name_of(5, 3): 250}
    timed = {name: replace(arm, memory_bytes=held[name]) for name, arm in found.timing.arms.items()}
    fast = changed(replace(found, timing=Timing(1, timed)), name_of(5, 3), generator=Part("var", {"engine": "fast"}))
    (row,) = [row for row in claims(fast).rows if row[0] == "memory"]
    assert (row[3], row[5]) == (Range(1.25), "refuted")


def test_without_an_interval_a_rise_of_fid_stays_open() -> None:
    found = record(e5m3=9.0)
    few = {"fid": Metric(9.0), "fid_difference": Metric(8.0)}
    found = changed(found, name_of(5, 3), metrics=few)
    assert list(verdicts(found, "FID").values()) == ["open"]


def test_a_speed_below_the_promised_range_is_refuted_and_one_across_its_edge_open() -> None:
    found = record(e5m3=1.0, e8m3=1.0)
    speeds = {name_of(5, 3): Speedup(0.9, 0.8, 1.0), name_of(8, 3): Speedup(1.3, 1.2, 1.4)}
    timed = {name: replace(arm, speedup=speeds.get(name)) for name, arm in found.timing.arms.items()}
    assert list(verdicts(replace(found, timing=Timing(1, timed)), "speed-up").values()) == ["refuted", "open"]
    assert list(verdicts(replace(found, timing=Timing()), "speed-up").values()) == ["open", "open"]
    bare = {name: replace(arm, speedup=Speedup(0.9, note="raw rounds not kept")) for name, arm in found.timing.arms.items()}
    assert list(verdicts(replace(found, timing=Timing(1, bare)), "speed-up").values()) == ["open", "open"]


def test_a_preset_must_beat_the_right_mask_at_its_own_entry() -> None:
    found = record(e2m5=1.5, e2m3=1.2, e5m2=1.1, e5m3=1.1, e8m1=1.2, e8m3=1.5)
    assert list(verdicts(found, "preset (FID)").values()) == ["refuted", "open", "holds"]


def test_descriptions_of_masks_are_held_against_what_a_row_sees() -> None:
    assert {each.sd_mask: each.holds for each in descriptions()} == {m: m == 4 for m in SAYS}
    rows = [row for row in claims(record(e5m3=1.1)).rows if str(row[0]).startswith("mask ")]
    assert len(rows) == 6 and rows[3][3] is not None and rows[1][3] is None


def test_the_table_is_for_those_who_ask_and_sets_in_latex() -> None:
    found = record(e5m3=1.1, e5m2=1.3)
    assert tables.to_latex(tables.tables(found)["claims"]).isascii()
    assert "claims" not in tables.tables(replace(found, study=Study("sdvar", baseline="target")))


def test_the_target_reads_every_token_so_that_arithmetic_is_never_saved() -> None:
    target, draft = official()
    for entry in range(1, SCALES):
        read = Work(**_runs(entry, 3), target_calls=SCALES - entry, draft_calls=entry)
        assert compute_bound(read, target=target, draft=draft) < 1 < latency_bound(read, target=target, draft=draft)
        unfed = Work(**_runs(entry, 0), target_calls=SCALES - entry, draft_calls=entry)
        assert compute_bound(unfed, target=target, draft=draft) > compute_bound(read, target=target, draft=draft)
    assert latency_bound(work_of([Sample(0, "0", stats=stats(0, 3))]), target=target, draft=draft) == 1


def _runs(entry: int, sd_mask: int) -> dict[str, list[float]]:
    found = stats(entry, sd_mask)
    return {name: [float(n) for n in found[name]] for name in ("target_runs", "draft_runs")}


def test_bounds_by_hand() -> None:
    target = Cost(macs=[1.0, 3.0], decode_macs=0, weight_bytes=110, state_bytes=10, image_bytes=0, calls=4)
    draft = Cost(macs=[0.5, 1.0], decode_macs=0, weight_bytes=30, state_bytes=5, image_bytes=0, calls=2, shared_bytes=10)
    work = Work([1, 1], [1, 0], target_calls=1, draft_calls=1)
    assert latency_bound(work, target=target, draft=draft) == pytest.approx(8 / 6)
    assert compute_bound(work, target=target, draft=draft) == pytest.approx(4 / 4.5)
    assert memory(2, target=target, draft=draft) == pytest.approx(1 + 30 / 130)
    assert 1.1 < memory(1, target=official()[0], draft=official()[1]) < 1.2


def test_stats_of_the_strategy_are_those_the_report_reads() -> None:
    for entry in (0, 4, SCALES):
        for sd_mask in (0, 3):
            assert Handover(entry_num=entry, sd_mask=sd_mask).plan(SCALES).count("draft") == sum(
                stats(entry, sd_mask)["draft_runs"]
            )


def test_the_sweep_draws_a_line_per_mask_and_the_ends_apart() -> None:
    found = record(e0m3=1.0, e2m3=1.1, e5m3=1.2, e2m1=2.0, e5m1=3.0, e10m3=4.0)
    assert set(handed_over(found).values()) == {(0, 3), (2, 3), (5, 3), (2, 1), (5, 1), (10, 3)}
    with style.styled():
        fid = entry_sweep(found).axes[0]
    lines = {line.get_label(): line for line in fid.lines if not str(line.get_label()).startswith("_")}
    assert [float(y) for y in np.asarray(lines["mask 3 (correct)"].get_ydata())] == [1.1, 1.2]
    assert [float(y) for y in np.asarray(lines["mask 1"].get_ydata())] == [2.0, 3.0]
    ends = [line for line in fid.lines if line.get_marker() == "D"]
    assert [float(np.asarray(line.get_xdata())[0]) for line in ends] == [0, 10]


def test_the_claims_figure_shades_what_was_promised_and_shows_every_arm() -> None:
    found = record(e5m3=1.05, e2m3=1.5)
    with style.styled():
        panels = sdvar_claims(found).axes
    assert len(panels) == 4
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["handover entry_num=5", "handover entry_num=2"]
    assert [text.get_text() for text in panels[3].texts] == ["not measured"]
