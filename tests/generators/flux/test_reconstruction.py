"""Real pictures through the shipped autoencoder: sharp, of the same scenes, and refused before anything is built."""

import pytest
import torch

from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.generators.flux.reconstruction import FluxReconstruction
from sdaccel.generators.world.generator import World
from sdaccel.metrics.paired import psnr
from sdaccel.predict.writer import to_uint8

CAPTIONS = ["a small red dotted circle left of a medium blue flat star on a grey plain background", "a yellow shaded ring"]
CPU = torch.device("cpu")


def test_reconstructions_are_of_the_world_s_own_pictures_and_sharp() -> None:
    (batch,) = batches(CAPTIONS, seed=0, size=2)
    config = FluxReconstruction(kind="captioned", image_size=128)
    config.check(CAPTIONS)
    made = config.build(CPU).generate(batch, backend=None, strategy=None)
    real = World(kind="captioned", image_size=128).build(CPU).generate(batch, backend=None, strategy=None)
    values = [psnr(a, b) for a, b in zip(to_uint8(made.images), to_uint8(real.images), strict=True)]
    assert min(values) >= 36
    assert psnr(to_uint8(made.images)[0], to_uint8(real.images)[1]) < 25  # each is of its own picture


def test_sizes_and_files_that_do_not_fit_are_refused() -> None:
    with pytest.raises(BadInput, match="multiple of 8"):
        FluxReconstruction(kind="captioned", image_size=100).check(CAPTIONS)
    with pytest.raises(BadInput, match="vae_weights"):
        FluxReconstruction(kind="captioned", image_size=128, latent_channels=8).check(CAPTIONS)


def test_the_way_through_the_autoencoder_has_its_price() -> None:
    cost = FluxReconstruction(kind="captioned", image_size=128).cost()
    assert cost.decode_macs > 1e9
    assert cost.macs == []
