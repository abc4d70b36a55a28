"""Laws of the published single files: diffusers' own converters, on files with all rows of the official ones and one column."""

from typing import Any

import sdaccel.torchvision_guard  # noqa: F401

# isort: split
import pytest
import torch
from diffusers.loaders.single_file_utils import (
    convert_flux_transformer_checkpoint_to_diffusers,
    convert_ldm_vae_checkpoint,
)
from torch import Tensor

from sdaccel.generators.flux.official.generator import OfficialFlux
from sdaccel.generators.flux.official.single_file import (
    HALVES_SWAPPED,
    Layout,
    autoencoder_layout,
    converted,
    expected,
    transformer_layout,
)
from sdaccel.weight_files import Shapes, shapes_of

SMALL = {"doubles": 2, "singles": 2}


def columns(shapes: Shapes) -> Shapes:
    """Conversion moves rows alone, so one column tells all."""
    return {name: (shape[0], 1) if len(shape) == 2 else shape for name, shape in shapes.items()}


def random(shapes: Shapes) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.rand(shape, generator=generator) for name, shape in shapes.items()}


def official(guidance_embeds: bool) -> tuple[Layout, Shapes]:
    with torch.device("meta"):
        shapes = shapes_of(OfficialFlux(guidance_embeds=guidance_embeds, **SMALL).transformer())  # type: ignore[arg-type]
    return transformer_layout(guidance_embeds=guidance_embeds, **SMALL), columns(shapes)


@pytest.mark.parametrize("guidance_embeds", [True, False])
def test_the_transformer_converts_as_in_diffusers(guidance_embeds: bool) -> None:
    layout, shapes = official(guidance_embeds)
    file = random(expected(layout, shapes))
    theirs: Any = convert_flux_transformer_checkpoint_to_diffusers(dict(file))
    ours = dict(converted(layout, dict(file), shapes))
    assert ours.keys() == theirs.keys() == shapes.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


def test_the_comparison_sees_halves_that_are_not_swapped() -> None:
    layout, shapes = official(True)
    file = random(expected(layout, shapes))
    theirs: Any = convert_flux_transformer_checkpoint_to_diffusers(dict(file))
    wrong = dict(file)
    for kind in ("weight", "bias"):
        wrong[f"{HALVES_SWAPPED}.{kind}"] = file[f"{HALVES_SWAPPED}.{kind}"].roll(3072, 0)
    ours = dict(converted(layout, wrong, shapes))
    assert [n for n in ours if not torch.equal(ours[n], theirs[n])] == ["norm_out.linear.weight", "norm_out.linear.bias"]


def test_the_published_names_are_there_with_their_shapes() -> None:
    """A few of flux1-dev.safetensors and ae.safetensors, as published."""
    config = OfficialFlux()
    with torch.device("meta"):
        model, vae = shapes_of(config.transformer()), shapes_of(config.autoencoder().vae)
    dev = expected(transformer_layout(doubles=19, singles=38, guidance_embeds=True), model)
    assert len(dev) == 780
    assert dev["double_blocks.18.img_attn.qkv.weight"] == (9216, 3072)
    assert dev["single_blocks.37.linear1.weight"] == (21504, 3072)
    assert dev["single_blocks.0.norm.query_norm.scale"] == (128,)
    assert dev["txt_in.weight"] == (3072, 4096) and dev["img_in.weight"] == (3072, 64)
    ae = expected(autoencoder_layout(vae, levels=4), vae)
    assert len(ae) == 244
    assert ae["decoder.mid.attn_1.q.weight"] == (512, 512, 1, 1)
    assert ae["decoder.up.3.block.0.conv1.weight"] == (512, 512, 3, 3)
    assert ae["decoder.up.0.block.0.nin_shortcut.weight"] == (128, 256, 1, 1)
    assert ae["encoder.conv_out.weight"] == (32, 512, 3, 3)


def test_the_autoencoder_converts_as_in_diffusers() -> None:
    vae: Any = OfficialFlux(vae_widths=[32, 64, 32, 32], latent_channels=4).autoencoder().vae
    shapes = shapes_of(vae)
    layout = autoencoder_layout(shapes, levels=4)
    file = random(expected(layout, shapes))
    theirs: Any = convert_ldm_vae_checkpoint(dict(file), vae.config)
    ours = dict(converted(layout, dict(file), shapes))
    assert ours.keys() == theirs.keys() == shapes.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
