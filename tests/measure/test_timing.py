"""Laws of the timing: arms in turn, warm-up outside, percentiles and paired ratios."""

import time
from collections.abc import Callable

import pytest
import torch

from sdaccel.measure.timing import interleaved, speedups, summary

CPU = torch.device("cpu")


def test_arms_run_in_turn_in_warm_up_and_after_it() -> None:
    order: list[str] = []
    calls: dict[str, Callable[[], object]] = {name: lambda name=name: order.append(name) for name in "AB"}  # type: ignore[misc]
    seconds = interleaved(calls, warmup=2, repeats=3, device=CPU)
    assert "".join(order) == "AB" * 5
    assert {name: len(values) for name, values in seconds.items()} == {"A": 3, "B": 3}


def test_warm_up_is_not_timed() -> None:
    """The first call of an arm compiles: 0.3 s here, and nothing afterwards."""
    delays = iter([0.3])
    seconds = interleaved({"A": lambda: time.sleep(next(delays, 0))}, warmup=1, repeats=5, device=CPU)
    assert sorted(seconds["A"])[2] < 0.1
    cold = iter([0.3])
    assert interleaved({"A": lambda: time.sleep(next(cold, 0))}, warmup=0, repeats=1, device=CPU)["A"][0] >= 0.3


def test_each_arm_gets_its_own_seconds() -> None:
    seconds = interleaved({"slow": lambda: time.sleep(0.02), "none": lambda: None}, warmup=0, repeats=3, device=CPU)
    assert min(seconds["slow"]) >= 0.02 > sorted(seconds["none"])[1]


def test_a_summary_holds_the_percentiles() -> None:
    assert summary([float(i) for i in range(100, -1, -1)]) == {"p10": 10.0, "p50": 50.0, "p90": 90.0, "n": 101}
    assert summary([2.0]) == {"p10": 2.0, "p50": 2.0, "p90": 2.0, "n": 1}


def test_a_speedup_is_the_ratio_of_paired_rounds() -> None:
    """A machine that was ten times slower in one round leaves the ratio alone; the ratio of the percentiles would move."""
    baseline, other = [2.0, 20.0, 2.0, 30.0, 2.0], [1.0, 10.0, 1.0, 15.0, 1.0]
    assert speedups(baseline, other) == {"p10": 2.0, "p50": 2.0, "p90": 2.0, "n": 5}
    assert speedups([1.0, 4.0], [1.0, 1.0])["p50"] == 2.5


def test_rounds_without_a_partner_are_an_error() -> None:
    with pytest.raises(ValueError, match="shorter"):
        speedups([1.0, 2.0], [1.0])
