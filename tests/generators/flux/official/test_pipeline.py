"""Laws of published files: from the same noise, ours and diffusers' FluxPipeline paint the same picture."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sdaccel.conditions import Batch
from sdaccel.generators.base import Generation
from sdaccel.generators.flux.official.generator import OfficialFlux
from sdaccel.strategies.forecast.strategy import HiCache
from sdaccel.strategies.plain import Dense, Original
from tests.generators.flux.official.published import PROMPTS, single_files
from tests.generators.flux.tiny import CPU, relative, same

Published = tuple[OfficialFlux, Any]
ORIGINAL = Original()


def generate(config: OfficialFlux, strategy: Any = ORIGINAL) -> Generation:
    config.check(PROMPTS)
    wanted = Batch(PROMPTS, torch.arange(2), {0: 0, 1: 1})
    return config.build(CPU).generate(wanted, backend=Dense(), strategy=strategy, keep=["latents"])


def painted(pipe: Any, config: OfficialFlux, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The pipeline's last latents and pictures."""
    kept: dict[str, Tensor] = {}
    images = pipe(
        prompt=list(PROMPTS),
        negative_prompt=config.negative_prompt if config.branches == 2 else None,
        true_cfg_scale=config.true_cfg,
        guidance_scale=config.guidance,
        num_inference_steps=config.num_steps,
        height=config.height,
        width=config.width,
        latents=noise,
        max_sequence_length=config.text_tokens,
        output_type="pt",
        callback_on_step_end=lambda pipe, step, t, seen: kept.update(seen) or {},
    ).images
    return kept["latents"], images


def errors(published: Published, **options: Any) -> tuple[float, float]:
    """Relative distance of latents and of pictures."""
    config, pipe = replace(published[0], **options), published[1]
    ours = generate(config)
    latents, images = painted(pipe, config, ours.arrays["latents"][:, 0])
    return relative(ours.arrays["latents"][:, -1], latents), relative(ours.images, images)


@pytest.mark.parametrize("options", [{}, {"guidance": 1.0}, {"true_cfg": 2.5}, {"true_cfg": 2.5, "negative_prompt": "a dog"}])
def test_dev_paints_what_the_pipeline_paints(options: dict[str, Any], dev: Published) -> None:
    assert max(errors(dev, **options)) < 1e-5


def test_schnell_paints_what_the_pipeline_paints(schnell: Published) -> None:
    assert max(errors(schnell)) < 1e-5


def test_the_comparison_sees_guidance_schedule_and_text(dev: Published) -> None:
    config, pipe = dev
    ours = generate(config)
    for other in (replace(config, guidance=3.4), replace(config, num_steps=5)):
        assert relative(painted(pipe, other, ours.arrays["latents"][:, 0])[0], ours.arrays["latents"][:, -1]) > 1e-5
    unshifted = replace(config, shifted=False)
    assert unshifted.times != config.times


def test_interval_1_is_the_unaccelerated_generation(dev: Published) -> None:
    assert same(generate(dev[0], HiCache(interval=1)), generate(dev[0]))


def test_single_files_hold_the_same_model(dev: Published, tmp_path: Path) -> None:
    config, pipe = dev
    transformer, vae = single_files(pipe, config, tmp_path)
    single = replace(config, weights=str(transformer), vae_weights=str(vae), text_weights=config.weights)
    assert same(generate(single), generate(config))
    assert single.identity() != config.identity()
    in_folder = replace(config, weights=str(tmp_path), text_weights=config.weights)
    assert same(generate(in_folder), generate(config))
    assert in_folder.identity() == single.identity()
