"""Do 95 % intervals hold the truth as often as they should? And does the naive one fail the same test?"""

from collections.abc import Callable

import pytest
import torch

from sdaccel.metrics.frechet import fid
from sdaccel.metrics.frechet_interval import fid_interval
from tests.metrics.coverage import CASES, Case
from tests.metrics.worlds import Cut, World, in_turn


@pytest.mark.verify
@pytest.mark.parametrize("case", CASES, ids=str)
def test_intervals_cover_the_truth(case: Case, record_property: Callable[[str, object], None]) -> None:
    row = case.run()
    record_property("coverage", str(row))
    assert row.holds, row


@pytest.mark.verify
def test_percentile_bootstrap_of_fid_fails_the_same_test() -> None:
    n, hits, world = 1000, 0, World(64, kind="gaussian", effect=0.1)
    for _ in range(40):
        x, y = world.generated(world.latents(n)), world.reference(world.latents(n))
        again = [fid(*(s[torch.randint(n, (n,), generator=world.g)] for s in (x, y))) for _ in range(80)]
        low, high = sorted(again)[2], sorted(again)[-3]
        hits += low <= world.fid <= high
        assert low > fid(x, y) > world.fid  # resampling adds the bias a second time
    assert hits < 4


@pytest.mark.verify
def test_labels_in_turn_taken_for_drawn_ones_lie_below_the_truth() -> None:
    """The bias that is taken out is that of drawn labels, so real pictures come out nearer than the same distribution."""
    n, world, found = 128, World(32, kind="gaussian", effect=0), []
    for _ in range(200):
        x, y = world.generated(world.latents(n, in_turn(n))), world.reference(world.latents(n))
        found.append(fid_interval(x, y))
    assert sum(interval.high < 0 for interval in found) > 0.05 * len(found)  # twice as many as may
    assert sum(interval.estimate < 0 for interval in found) > 0.7 * len(found)


@pytest.mark.verify
def test_all_crops_of_a_picture_taken_for_independent_rows_miss_the_truth() -> None:
    """They have much in common, so that an interval of so many rows is too short."""
    world, hits = Cut(16, effect=0), 0
    for _ in range(100):
        x, y = world.generated(world.crops(32).flatten(0, 1)), world.reference(world.crops(32).flatten(0, 1))
        interval = fid_interval(x, y)
        hits += interval.low <= 0 <= interval.high
    assert hits < 80
