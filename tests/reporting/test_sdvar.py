"""What the report says of a handover and of SDVAR's promises: verdicts by intervals, bounds by formula, open when in doubt."""

from typing import Any

import numpy as np
import pytest

from sdaccel.errors import BadInput
from sdaccel.generators.base import Cost
from sdaccel.reporting import figures, style, tables
from sdaccel.reporting.entry_sweep import entry_sweep, handed_over
from sdaccel.reporting.sdvar_bounds import TARGET as D30
from sdaccel.reporting.sdvar_bounds import Work, compute_bound, latency_bound, memory, official, tokenizer_bytes, work_of
from sdaccel.reporting.sdvar_claims import claims
from sdaccel.reporting.sdvar_masks import SAYS, descriptions
from sdaccel.strategies.speculative.handover import Handover

SCALES = 10
HANDOVER = {"_target_": "sdaccel.strategies.speculative.handover.Handover"}


def stats(entry: int, sd_mask: int) -> dict[str, Any]:
    reads = sd_mask != 0 and entry < SCALES
    return {
        "target_runs": [int(k >= entry or reads) for k in range(SCALES)],
        "draft_runs": [int(k < entry) for k in range(SCALES)],
        "target_calls": SCALES - entry,
    }


def arm(template: str, fid: float, of: dict[str, Any] | None = None, *, reach: float = 0.01, **point: Any) -> dict[str, Any]:
    sample = {"index": 0, "image": "0"} | ({"stats": of} if of else {})
    metrics = {
        "fid": {"estimate": fid, "low": fid - reach, "high": fid + reach, "n": 600},
        "judge.class": {"estimate": 1 / (1 + fid), "low": 0.0, "high": 1.0, "n": 600},
        "fid_difference": {"estimate": fid - 1, "low": fid - 1 - reach, "high": fid - 1 + reach, "n": 600},
    }
    return {
        "template": template,
        "mode": template,
        "point": point,
        "control": None,
        "kinds": {"full": SCALES},
        "macs": 100.0,
        "mac_ceiling": 1.0,
        "metrics": metrics,
        "samples": [sample, sample],
    }


def record(**fids: float) -> dict[str, Any]:
    """Handover at every entry and mask that is named `entry_mask`, with its FID; the target has 1."""
    arms = {"target": arm("target", 1.0)}
    config: dict[str, Any] = {"target": {"strategy": {}}}
    for key, fid in fids.items():
        entry, sd_mask = map(int, key.removeprefix("e").split("m"))
        name = f"handover[entry_num={entry},sd_mask={sd_mask}]"
        arms[name] = arm("handover", fid, stats(entry, sd_mask), entry_num=entry, sd_mask=sd_mask)
        config[name] = {"strategy": HANDOVER | {"entry_num": entry, "sd_mask": sd_mask}}
    timed = {
        name: {
            "seconds": {"p50": 1.0},
            "peak_bytes": None,
            "baseline": "target",
            "speedup": {"p50": 1.5, "p10": 1.4, "p90": 1.6},
        }
        for name in arms
    }
    study = {"baseline": "target", "figures": ["sdvar_claims"]}
    return {
        "content": {"arms": arms, "config": {"arms": config, "study": study}},
        "timing": {"arms": timed, "batch_size": 1},
    }


def verdicts(of: dict[str, Any], claim: str) -> dict[str, str]:
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


def test_without_an_interval_a_rise_of_fid_stays_open() -> None:
    found = record(e5m3=9.0)
    for metric in ("fid", "fid_difference"):
        found["content"]["arms"]["handover[entry_num=5,sd_mask=3]"]["metrics"][metric] |= {"low": None, "high": None}
    assert list(verdicts(found, "FID").values()) == ["open"]


def test_a_speed_below_the_promised_range_is_refuted_and_one_across_its_edge_open() -> None:
    found = record(e5m3=1.0, e8m3=1.0)
    slow, edge = (found["timing"]["arms"][f"handover[entry_num={e},sd_mask=3]"]["speedup"] for e in (5, 8))
    slow |= {"p50": 0.9, "p10": 0.8, "p90": 1.0}
    edge |= {"p50": 1.3, "p10": 1.2, "p90": 1.4}
    assert list(verdicts(found, "speed-up").values()) == ["refuted", "open"]
    assert list(verdicts(found | {"timing": None}, "speed-up").values()) == ["open", "open"]


def test_a_preset_must_beat_the_right_mask_at_its_own_entry() -> None:
    found = record(e2m5=1.5, e2m3=1.2, e5m2=1.1, e5m3=1.1, e8m1=1.2, e8m3=1.5)
    assert list(verdicts(found, "preset (FID)").values()) == ["refuted", "open", "holds"]


def test_descriptions_of_masks_are_held_against_what_a_row_sees() -> None:
    assert {each.sd_mask: each.holds for each in descriptions()} == {m: m == 4 for m in SAYS}
    rows = [row for row in claims(record(e5m3=1.1)).rows if str(row[0]).startswith("mask ")]
    assert len(rows) == 6 and rows[3][3] is not None and rows[1][3] is None


def test_the_table_is_for_those_who_ask_and_sets_in_latex() -> None:
    found = record(e5m3=1.1, e5m2=1.3)
    assert tables.to_latex(claims(found)).isascii()
    found["content"]["config"]["study"]["figures"] = []
    assert claims(found).rows == []


def test_the_target_reads_every_token_so_that_arithmetic_is_never_saved() -> None:
    target, draft = official()
    for entry in range(1, SCALES):
        read = Work(**_runs(entry, 3), target_calls=SCALES - entry, draft_calls=entry)
        assert compute_bound(read, target=target, draft=draft) < 1 < latency_bound(read, target=target, draft=draft)
        unfed = Work(**_runs(entry, 0), target_calls=SCALES - entry, draft_calls=entry)
        assert compute_bound(unfed, target=target, draft=draft) > compute_bound(read, target=target, draft=draft)
    assert latency_bound(work_of([{"stats": stats(0, 3)}]), target=target, draft=draft) == 1


def _runs(entry: int, sd_mask: int) -> dict[str, list[float]]:
    found = stats(entry, sd_mask)
    return {name: [float(n) for n in found[name]] for name in ("target_runs", "draft_runs")}


def test_bounds_by_hand() -> None:
    target = Cost(macs=[1.0, 3.0], decode_macs=0, weight_bytes=110, state_bytes=10, image_bytes=0, calls=4)
    draft = Cost(macs=[0.5, 1.0], decode_macs=0, weight_bytes=30, state_bytes=5, image_bytes=0, calls=2)
    work = Work([1, 1], [1, 0], target_calls=1, draft_calls=1)
    assert latency_bound(work, target=target, draft=draft) == pytest.approx(8 / 6)
    assert compute_bound(work, target=target, draft=draft) == pytest.approx(4 / 4.5)
    assert memory(2, target=target, draft=draft, tokenizer_bytes=10) == pytest.approx(1 + 30 / 130)
    assert 1.1 < memory(1, target=official()[0], draft=official()[1], tokenizer_bytes=tokenizer_bytes(D30)) < 1.2


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
        panels = figures.FIGURES["sdvar_claims"](found).axes
    assert len(panels) == 4
    assert [text.get_text() for text in panels[0].get_yticklabels()] == ["handover entry_num=5", "handover entry_num=2"]
    assert [text.get_text() for text in panels[3].texts] == ["not measured"]


@pytest.mark.parametrize("name", ["entry_sweep", "sdvar_claims"])
def test_a_figure_says_what_it_lacks(name: str) -> None:
    with pytest.raises(BadInput, match=f"figure {name} needs arms"):
        figures.FIGURES[name](record())
