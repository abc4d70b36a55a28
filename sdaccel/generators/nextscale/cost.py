"""What the tokenizer of a next-scale model costs."""

import torch

from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.measure.macs import forward_macs


def decode_macs(vae: VQVAE, layout: Layout) -> float:
    """The decoder for one image; `vae` is on the meta device."""
    return forward_macs(lambda: vae.decode(torch.empty(1, vae.Cvae, layout.side, layout.side, device="meta")))
