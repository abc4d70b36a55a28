"""What one VAR image costs, in multiply-accumulates, by formula.

R = 2 rows [cond; uncond] · C width · D depth · l_k tokens of scale k · n_k = o_{k+1} keys it sees
"""

import torch

from sdaccel.generators.nextscale.scales import lengths, offsets
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.var.model import VAR, Geometry
from sdaccel.generators.var.sampler import GuidedRun
from sdaccel.measure.macs import forward_macs, operator_calls

ROWS = 2


def sublayer_macs(geometry: Geometry, scale: int) -> tuple[int, int]:
    """(attention, feed-forward) of one block at one scale, both rows: 4 C^2 l + 2 l n C and 8 C^2 l."""
    width, tokens = geometry.width, lengths(geometry.patch_nums)[scale]
    keys = offsets(geometry.patch_nums)[scale + 1]
    return ROWS * tokens * (4 * width**2 + 2 * keys * width), ROWS * tokens * 8 * width**2


def ada_macs(geometry: Geometry) -> int:
    """adaLN of blocks and head, once per image."""
    sets = 1 if geometry.shared_aln else geometry.depth
    return ROWS * geometry.width**2 * (6 * sets + 2)


def scale_macs(geometry: Geometry, scale: int) -> int:
    """One scale in full: blocks, head, its canvas update, the embedding of its input; adaLN counts with scale 0."""
    g, tokens = geometry, lengths(geometry.patch_nums)[scale]
    once = ada_macs(g) if scale == 0 else tokens * g.Cvae * g.width  # both rows share one embedded map
    phi = 9 * g.Cvae**2 * g.patch_nums[-1] ** 2
    return g.depth * sum(sublayer_macs(g, scale)) + ROWS * tokens * g.width * g.vocab + phi + once


def decode_macs(vae: VQVAE, patch_nums: tuple[int, ...]) -> float:
    """The decoder for one image; `vae` is on the meta device."""
    return forward_macs(lambda: vae.decode(torch.empty(1, vae.Cvae, patch_nums[-1], patch_nums[-1], device="meta")))


def scale_calls(var: VAR, *, engine: str) -> int:
    """Operators of one scale under an engine, the same for every scale; `var` is on the meta device.

    The casts of autocast are not seen there. On a GPU the fast engine runs its operators by one launch.
    """
    from sdaccel.generators.var.engine_autocast import AutocastRun
    from sdaccel.generators.var.engine_fast import FastRun, Prepared

    if engine == "fast":
        fast = FastRun(Prepared(var), rows=ROWS)
        return operator_calls(lambda: fast.raw_logits(fast.compute(fast.begin(), first=0, last=0)))
    run = (AutocastRun if engine == "autocast" else GuidedRun)(var, torch.zeros(1, dtype=torch.int64, device="meta"))
    return operator_calls(lambda: run.logits(run.advance(run.begin(), first=0, last=0)))


def state_bytes(geometry: Geometry, *, itemsize: int, ch: int, pixels: int) -> int:
    """KV cache, the last scale's logits with their float32 copies, and the decoder's widest activations."""
    g, last = geometry, lengths(geometry.patch_nums)[-1]
    kv = 2 * g.depth * ROWS * offsets(g.patch_nums)[-1] * g.width * itemsize
    logits = 6 * last * g.vocab * 4
    return kv + max(logits, 4 * ch * pixels * itemsize)
