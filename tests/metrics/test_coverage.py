"""Do 95 % intervals hold the truth as often as they should? And does the naive one fail the same test?"""

import pytest
import torch

from sdaccel.metrics.frechet import fid
from tests.metrics.coverage import CASES, Case
from tests.metrics.worlds import World


@pytest.mark.verify
@pytest.mark.parametrize("case", CASES, ids=str)
def test_intervals_cover_the_truth(case: Case, record_property: pytest.RecordProperty) -> None:
    row = case.run()
    record_property("coverage", str(row))
    assert row.holds, row
