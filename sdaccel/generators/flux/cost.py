"""Price of one image, counted on the meta device: nothing is allocated."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from sdaccel.generators.base import Cost, torch_dtype
from sdaccel.generators.flux.seam import FluxSeam
from sdaccel.generators.flux.solvers import EULER
from sdaccel.generators.text import meta_tower
from sdaccel.measure.macs import forward_macs, operator_calls

if TYPE_CHECKING:
    from sdaccel.generators.flux.generator import Flux


KNOWN: dict[str, Cost] = {}
"""Counted already, by configuration but for what decides its number of steps."""


def price(config: "Flux") -> Cost:
    """Steps, what lies outside them, and bytes; under true guidance an image is two rows."""
    key = repr(replace(config, num_steps=1, evaluations=None, solver=EULER))
    if key not in KNOWN:
        KNOWN[key] = _counted(config)
    return replace(KNOWN[key], macs=KNOWN[key].macs[:1] * config.steps)


def _counted(config: "Flux") -> Cost:
    width = config.heads * config.head_dim
    stream = config.branches * config.tokens * width
    with torch.device("meta"):
        model = config.transformer()
        seam = FluxSeam(model, inputs=config._inputs([""]), times=[1.0, 0.0], dtype=torch.float32, true_cfg=config.true_cfg)
        step = partial(seam.full, 0, torch.empty(1, config.tokens, config.channels))
        macs, calls = forward_macs(step), operator_calls(step)
        x, added = torch.empty(1, config.tokens, config.channels), torch.empty(config.branches, config.tokens, width)
        shares = {
            "partial": forward_macs(lambda: seam.from_singles(0, x, added)) / macs,
            "forecast": forward_macs(lambda: seam.from_trunk(0, x, added)) / macs,
        }
        (decoding, decoder), (reading, reader) = _decoder(config), config.reading()
    size, length = torch_dtype(config.dtype).itemsize, config.tokens + config.text_tokens
    parts = nn.ModuleList([model, *decoder, *reader])
    return Cost(
        macs=[macs],
        decode_macs=decoding + reading,
        weight_bytes=size * sum(p.numel() for p in parts.parameters()),
        state_bytes=size * config.branches * length * width * 16,  # residual, qkv and the MLP's hidden layer alive at once
        image_bytes=3 * config.height * config.width,
        calls=calls,
        features={
            "module": stream * (2 * config.doubles + config.singles),
            "block": stream * (config.doubles + config.singles),
            "trunk": stream,
            "singles": stream,
            "output": config.branches * config.tokens * config.channels,
        },
        shares=shares,
    )


def _decoder(config: "Flux") -> tuple[float, list[nn.Module]]:
    """MACs of decoding one image, and what does it."""
    if config.vae_widths is None:
        return 0.0, []
    vae, latents = config.autoencoder(), torch.empty(1, config.tokens, config.channels)
    return forward_macs(lambda: vae.decode(latents, height=config.height, width=config.width)), [vae]


def price_of_reading(config: "Flux") -> tuple[float, list[nn.Module]]:
    """MACs of reading one prompt, and the negative one beside it under true guidance."""
    if config.text_weights is None:
        return 0.0, []
    tower, words = meta_tower(config.text_weights), torch.zeros(config.branches, config.text_tokens, dtype=torch.int64)
    return forward_macs(lambda: tower(words)), [tower]
