"""What several tests of studies share."""

from pathlib import Path

import pytest

from tests.metrics.tiny import world_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clip_mini's folder with random weights."""
    return world_clip(tmp_path_factory.mktemp("clip"))
