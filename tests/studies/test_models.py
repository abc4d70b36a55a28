"""Arms that differ only in options beside the weights run on one copy of them, to the bits of a copy of their own."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from sdaccel.generators.flux.generator import Flux
from sdaccel.strategies.plain import Original
from sdaccel.studies.models import Models
from tests.generators.flux.tiny import CPU, TINY, generate


def arm(generator: Flux) -> Any:
    """What of an arm its models follow from."""
    return SimpleNamespace(generator=generator, beside={}, configs={"generator": generator})


@pytest.mark.parametrize("options", [{"num_steps": 7}, {"guidance": 1.0}])
def test_one_copy_of_the_weights_serves_other_options(options: dict[str, Any], tmp_path: Path) -> None:
    models, first, second = Models(CPU, ["a"], cache=tmp_path), arm(TINY), arm(replace(TINY, **options))
    plain = models.runtime(first)
    models.only(second)
    other = models.runtime(second)
    assert other.transformer is plain.transformer
    assert (plain.config, other.config) == (first.generator, second.generator)
    own = generate(second.generator.build(CPU), Original())
    assert torch.equal(generate(other, Original()).arrays["latents"], own.arrays["latents"])


@pytest.mark.parametrize("options", [{"init_seed": 1}, {"dtype": "bfloat16"}, {"singles": 1}, {"height": 16}])
def test_other_weights_are_built_anew(options: dict[str, Any], tmp_path: Path) -> None:
    models = Models(CPU, ["a"], cache=tmp_path)
    assert models.runtime(arm(replace(TINY, **options))).transformer is not models.runtime(arm(TINY)).transformer
