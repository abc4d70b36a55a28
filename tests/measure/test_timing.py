"""Laws of the timing: arms in turn, in another order every round, warm-up outside."""

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from sdaccel.measure.timing import interleaved, summary

CPU = torch.device("cpu")


def test_every_arm_runs_once_a_round_in_warm_up_and_after_it_and_the_order_is_kept() -> None:
    ran: list[str] = []
    calls: dict[str, Callable[[], object]] = {name: lambda name=name: ran.append(name) for name in "ABCD"}  # type: ignore[misc]
    found = interleaved(calls, warmup=2, repeats=3, device=CPU)
    turns = ["".join(ran[i : i + 4]) for i in range(0, 20, 4)]
    assert all(sorted(turn) == list("ABCD") for turn in turns)
    assert ["".join("ABCD"[i] for i in order) for order in found.order] == turns[2:]
    assert {name: len(values) for name, values in found.seconds.items()} == dict.fromkeys("ABCD", 3)


def test_no_arm_always_follows_the_same_one_and_the_seed_decides_the_order() -> None:
    calls: dict[str, Callable[[], object]] = {name: lambda: None for name in "ABCD"}
    found, again, other = (interleaved(calls, warmup=1, repeats=40, device=CPU, seed=seed).order for seed in (3, 3, 4))
    assert found == again != other
    before = {(a, b) for order in found for a, b in pairwise(order)}
    assert len(before) == 4 * 3, "each has followed every other"


def test_the_seconds_of_a_round_are_those_of_its_call_whatever_the_order() -> None:
    """Call i of an arm sleeps i times as long: a list in another order than rounds would not ascend."""
    naps = {name: iter([0.002, 0.008, 0.02]) for name in "ABC"}
    calls: dict[str, Callable[[], object]] = {name: lambda name=name: time.sleep(next(naps[name])) for name in naps}  # type: ignore[misc]
    seconds = interleaved(calls, warmup=0, repeats=3, device=CPU).seconds
    assert all(values == sorted(values) for values in seconds.values())


def test_warm_up_is_not_timed() -> None:
    """The first call of an arm compiles: 0.3 s here, and nothing afterwards."""
    delays = iter([0.3])
    seconds = interleaved({"A": lambda: time.sleep(next(delays, 0))}, warmup=1, repeats=5, device=CPU).seconds
    assert sorted(seconds["A"])[2] < 0.1
    cold = iter([0.3])
    assert interleaved({"A": lambda: time.sleep(next(cold, 0))}, warmup=0, repeats=1, device=CPU).seconds["A"][0] >= 0.3


def test_each_arm_gets_its_own_seconds() -> None:
    seconds = interleaved({"slow": lambda: time.sleep(0.02), "none": lambda: None}, warmup=0, repeats=3, device=CPU).seconds
    assert min(seconds["slow"]) >= 0.02 > sorted(seconds["none"])[1]


def test_a_summary_holds_the_percentiles() -> None:
    assert summary([float(i) for i in range(100, -1, -1)]) == {"p10": 10.0, "p50": 50.0, "p90": 90.0, "n": 101}
    assert summary([2.0]) == pytest.approx({"p10": 2.0, "p50": 2.0, "p90": 2.0, "n": 1})
