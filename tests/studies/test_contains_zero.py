"""Real pictures against real ones: every study that quotes FID or KID checks that they are no distance apart."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from sdaccel.metrics.aggregate import Aggregate
from sdaccel.studies.checks.base import parse
from tests.conftest import CONF
from tests.studies.test_quality import result

QUOTING = [path for path in sorted((CONF / "exp").glob("*.yaml")) if "/metrics: world" in path.read_text()]


@pytest.mark.parametrize("path", QUOTING, ids=lambda path: path.stem)
def test_every_study_that_quotes_a_distance_has_real_pictures_at_none(path: Any) -> None:
    study = OmegaConf.to_container(OmegaConf.load(path).study)
    assert isinstance(study, dict)
    checked = {spec["metric"]: spec["contains_zero"] for spec in study["checks"] if "contains_zero" in spec}
    assert {"fid", "kid"} <= set(checked)
    real = {name for name, arm in study["arms"].items() if str(arm.get("generator", "")).startswith("world_")}
    assert all(set(arms) <= real | {"real", "again"} for arms in checked.values())


@pytest.mark.parametrize(
    ("found", "passed", "measured"),
    [
        (Aggregate(0.1, 600, -0.2, 0.4), True, 0),
        (Aggregate(-0.75, 600, -1.09, -0.41), False, 0.41),  # a committed record once had this
        (Aggregate(0.5, 600, 0.2, 0.8), False, 0.2),
        (Aggregate(None, 24, note="too few samples"), None, None),
    ],
)
def test_an_interval_on_either_side_of_zero_fails_and_none_is_open(found: Aggregate, passed: Any, measured: Any) -> None:
    (verdict,) = parse({"contains_zero": ["real"], "metric": "fid"}).judge([result("real", fid=found)])
    assert (verdict.passed, verdict.measured) == (passed, measured)
    assert passed is not None or "too few samples" in verdict.where
