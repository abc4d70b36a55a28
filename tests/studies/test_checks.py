"""What `equal` must not overlook: any kept array, and pixels that differ although every array agrees."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdaccel.samples import Samples
from sdaccel.studies.checks.of_samples import difference
from sdaccel.studies.results import Result


def _result(folder: Path, *, pixel: int = 0, **arrays: np.ndarray) -> Result:
    samples, arm = Samples(folder), None
    image = np.full((2, 2, 3), pixel, np.uint8)
    samples.write(0, condition="a cat", image=image, kinds=["full"], arrays=arrays)
    return Result(arm, samples, [0])  # type: ignore[arg-type]


def _compare(tmp_path: Path, one: dict[str, Any], other: dict[str, Any]) -> tuple[float, str, list[float]]:
    return difference(_result(tmp_path / "one", **one), _result(tmp_path / "other", **other))


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_a_longer_equal_array_hides_no_difference(names: tuple[str, str], tmp_path: Path) -> None:
    short, long = names
    same = np.zeros(9)
    found = _compare(tmp_path, {short: np.array([0.0, 1.0]), long: same}, {short: np.array([0.0, 3.0]), long: same})
    assert (found[0], found[2]) == (2, [0, 2])


def test_pixels_that_differ_count_although_the_arrays_agree(tmp_path: Path) -> None:
    same = np.zeros(3)
    assert _compare(tmp_path, {"a": same}, {"a": same, "pixel": 7})[0] == 1


def test_equal_is_exactly_zero(tmp_path: Path) -> None:
    assert _compare(tmp_path, {"a": np.ones(3)}, {"a": np.ones(3)})[0] == 0


def test_what_was_looked_at_on_the_way_is_no_difference_and_what_was_made_is(tmp_path: Path) -> None:
    seen = {"tokens": np.zeros(3), "diagnostics.reuse": np.array([np.nan, 1.0])}
    assert _compare(tmp_path / "same", seen, seen)[0] == 0
    assert _compare(tmp_path / "other", seen, seen | {"tokens": np.ones(3)})[0] == 1
    assert np.isinf(_compare(tmp_path / "nan", {"a": np.array([np.nan])}, {"a": np.array([np.nan])})[0])
