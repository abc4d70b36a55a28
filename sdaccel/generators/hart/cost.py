"""What one HART image costs, in multiply-accumulates, by formula.

R = 2 rows [cond; uncond] · C width · D depth · F feed-forward · l rows of scale k · n = row_start(k + 1) keys they see
W width of the residual head
"""

from typing import TYPE_CHECKING

import torch

from sdaccel.generators.base import Cost, SublayerMacs, torch_dtype
from sdaccel.generators.hart.context import Context
from sdaccel.generators.hart.head import FREQUENCIES
from sdaccel.generators.hart.model import HART, Geometry
from sdaccel.generators.hart.sampler import HartModel
from sdaccel.generators.hart.text import reading
from sdaccel.generators.nextscale.cost import decode_macs
from sdaccel.generators.nextscale.run import GuidedRun
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.measure.macs import operator_calls

if TYPE_CHECKING:
    from sdaccel.generators.hart.generator import Hart

ROWS = 2


def sublayer_macs(geometry: Geometry, scale: int) -> SublayerMacs:
    """Of one block at one scale, both rows: attention 4 C^2 l + 2 l n C, of which k and v 2 C^2 l; feed-forward 3 C F l."""
    width, layout = geometry.embed_dim, geometry.layout
    rows, keys = ROWS * layout.rows(scale), layout.row_start(scale + 1)
    square = rows * width**2
    return SublayerMacs(
        attn=4 * square + 2 * rows * keys * width, keys_values=2 * square, ffn=3 * rows * width * geometry.hidden
    )


def text_macs(geometry: Geometry) -> int:
    """Embedding of the text, and the last norm's scale and shift from it, once per image."""
    g = geometry
    return ROWS * (g.context_tokens * g.context_width * g.embed_dim + 2 * g.embed_dim**2)


def head_macs(geometry: Geometry, *, steps: int, rows: int = ROWS) -> int:
    """The residual head on the last scale; unguided it computes one row."""
    g, tokens, w = geometry, geometry.layout.tokens(geometry.layout.scales - 1), geometry.head_width
    told = ROWS * tokens * g.Cvae * g.embed_dim
    token = w * (g.embed_dim + g.Cvae + 5 * w * g.head_depth + 2 * w + 2 * g.Cvae)
    return told + steps * (rows * tokens * token + w * (FREQUENCIES + w))


def residual_macs(config: "Hart") -> int:
    """`head_macs` of an image; none without a residual."""
    unguided = config.sampling.at(config.steps - 1).t == 1
    return head_macs(config.geometry, steps=config.head_steps, rows=1 if unguided else ROWS) if config.residual else 0


def scale_macs(geometry: Geometry, scale: int) -> int:
    """One scale in full but for the residual head: embeddings, blocks, logits, its canvas update; text counts with scale 0."""
    g, tokens, one = geometry, geometry.layout.tokens(scale), sublayer_macs(geometry, scale)
    first = text_macs(g) if scale == 0 else tokens * g.Cvae * g.embed_dim  # both rows share one embedded map
    level = g.embed_dim * (FREQUENCIES + g.embed_dim)
    phi = 0 if g.layout.phi[scale] is None else 9 * g.Cvae**2 * g.layout.side**2
    return first + level + g.depth * (one.attn + one.ffn) + ROWS * tokens * g.embed_dim * g.vocab + phi


def scale_calls(hart: HART, vae: VQVAE) -> int:
    """Operators of one scale, the same for every scale but for the residual head; the models are on the meta device."""
    g = hart.geometry
    hidden, positions = torch.empty(1, g.context_tokens, g.context_width), torch.zeros(1, g.context_tokens, dtype=torch.int64)
    run = GuidedRun(HartModel(hart, vae, chain=None), Context(hidden.to("meta"), positions.to("meta")))
    return operator_calls(lambda: run.logits(hart.layout.token_rows(run.advance(run.begin(), first=0, last=0), first=0)))


def state_bytes(geometry: Geometry, *, itemsize: int, ch: int, pixels: int) -> int:
    """KV cache, and the widest of: the last scale's logits with float32 copies, the residual head, the decoder."""
    g, layout = geometry, geometry.layout
    tokens = layout.tokens(layout.scales - 1)
    kv = 2 * g.depth * ROWS * layout.row_start(layout.scales) * g.embed_dim * itemsize
    logits = 6 * tokens * g.vocab * 4
    head = ROWS * tokens * (g.embed_dim + 8 * g.head_width) * itemsize
    return kv + max(logits, head, 4 * ch * pixels * itemsize)


def price(config: "Hart") -> Cost:
    """Of one image."""
    g, (hart, vae) = config.geometry, config.models_without_storage()
    macs = [float(scale_macs(g, k)) for k in range(config.steps)]
    macs[-1] += residual_macs(config)
    read, readers = reading(config.text_weights, tokens=config.context_tokens)
    size = config.weight_dtype.itemsize
    tokenizer = size * sum(p.numel() for p in vae.parameters())
    others = size * sum(p.numel() for model in (hart, *readers) for p in model.parameters())
    return Cost(
        macs=macs,
        decode_macs=decode_macs(vae, config.layout) + read,
        weight_bytes=tokenizer + others,
        state_bytes=state_bytes(g, itemsize=torch_dtype(config.dtype).itemsize, ch=config.ch, pixels=config.image_size**2),
        image_bytes=3 * config.image_size**2,
        calls=scale_calls(hart, vae),
        layers=config.depth,
        scales=config.scales,
        hidden=ROWS * g.embed_dim,
        sublayers=[sublayer_macs(g, k) for k in range(config.steps)],
        shared_bytes=tokenizer,
    )
