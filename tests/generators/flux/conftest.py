import pytest

from sdaccel.generators.flux.generator import FluxRuntime
from tests.generators.flux.tiny import built


@pytest.fixture(scope="module")
def runtime() -> FluxRuntime:
    return built()


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def either(request: pytest.FixtureRequest) -> FluxRuntime:
    """The tiny model in both number formats it is meant for."""
    return built(request.param)
