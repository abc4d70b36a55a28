"""What one VAR image costs, in multiply-accumulates, by formula.

R = 2 rows [cond; uncond] · C width · D depth · l tokens of scale k · n = row_start(k + 1) keys it sees
"""

import torch

from sdaccel.generators.base import SublayerMacs
from sdaccel.generators.nextscale.run import GuidedRun
from sdaccel.generators.var.model import Geometry
from sdaccel.generators.var.sampler import VarModel
from sdaccel.measure.macs import operator_calls

ROWS = 2


def sublayer_macs(geometry: Geometry, scale: int) -> SublayerMacs:
    """Of one block at one scale, both rows: attention 4 C^2 l + 2 l n C, of which k and v 2 C^2 l; feed-forward 8 C^2 l."""
    width, layout = geometry.width, geometry.layout
    rows, keys = ROWS * layout.rows(scale), layout.row_start(scale + 1)
    square = rows * width**2
    return SublayerMacs(attn=4 * square + 2 * rows * keys * width, keys_values=2 * square, ffn=8 * square)


def ada_macs(geometry: Geometry) -> int:
    """adaLN of blocks and head, once per image."""
    sets = 1 if geometry.shared_aln else geometry.depth
    return ROWS * geometry.width**2 * (6 * sets + 2)


def scale_macs(geometry: Geometry, scale: int) -> int:
    """One scale in full: blocks, head, its canvas update, the embedding of its input; adaLN counts with scale 0."""
    g, tokens, one = geometry, geometry.layout.tokens(scale), sublayer_macs(geometry, scale)
    once = ada_macs(g) if scale == 0 else tokens * g.Cvae * g.width  # both rows share one embedded map
    phi = 9 * g.Cvae**2 * g.patch_nums[-1] ** 2
    return g.depth * (one.attn + one.ffn) + ROWS * tokens * g.width * g.vocab + phi + once


def scale_calls(model: VarModel, *, engine: str) -> int:
    """Operators of one scale under an engine, the same for every scale; the model is on the meta device.

    The casts of autocast are not seen there. On a GPU the fast engine runs its operators by one launch.
    """
    from sdaccel.generators.var.engine_autocast import AutocastModel
    from sdaccel.generators.var.engine_parts import Prepared
    from sdaccel.generators.var.engine_run import FastRun

    if engine == "fast":
        fast = FastRun(Prepared(model), batch=1)
        return operator_calls(lambda: fast.raw_logits(fast.compute(fast.begin(), first=0, last=0)))
    if engine == "autocast":
        model = AutocastModel(model.var, model.vae)
    run = GuidedRun(model, torch.zeros(1, dtype=torch.int64, device="meta"))
    return operator_calls(lambda: run.logits(run.advance(run.begin(), first=0, last=0)))


def state_bytes(geometry: Geometry, *, itemsize: int, ch: int, pixels: int) -> int:
    """KV cache, the last scale's logits with their float32 copies, and the decoder's widest activations."""
    g, layout = geometry, geometry.layout
    kv = 2 * g.depth * ROWS * layout.row_start(layout.scales) * g.width * itemsize
    logits = 6 * layout.tokens(layout.scales - 1) * g.vocab * 4
    return kv + max(logits, 4 * ch * pixels * itemsize)
