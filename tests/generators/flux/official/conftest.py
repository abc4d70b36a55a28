from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sdaccel.generators.flux.official.generator import OfficialFlux
from tests.generators.flux.official.published import DEV, SCHNELL, pipeline


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> tuple[OfficialFlux, Any]:
    """A published folder in shards, opened by ours, and the pipeline that wrote it."""
    return published(DEV, tmp_path_factory.mktemp("FLUX.1-dev"))


@pytest.fixture(scope="session")
def schnell(tmp_path_factory: pytest.TempPathFactory) -> tuple[OfficialFlux, Any]:
    return published(SCHNELL, tmp_path_factory.mktemp("FLUX.1-schnell"))


def published(config: OfficialFlux, folder: Path) -> tuple[OfficialFlux, Any]:
    made = pipeline(config)
    made.save_pretrained(folder, max_shard_size="100KB")
    return replace(config, weights=str(folder)), made
