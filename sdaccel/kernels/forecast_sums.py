"""Sums of weighted anchors over all features, for several forecast steps at once (plain torch; Triton kernel beside it).

    h_s = sum_f g_f(t_s) sum_j w_fj(t_s) A_jf

S forecast steps · J anchors · F features · B rows · L tokens · D channels. Weights are per row, because an adaptive mode
follows every picture on its own. Nothing here depends on x_t, so one pass after a full step serves all forecast steps up to
the next.

Floor: anchors are read once, 2 J F B L D bytes in bfloat16, and 4 S B L D bytes are written. FLUX.1-dev at 1024 px and order 2:
J = 3, F = 76, L = 4096, D = 3072 are 5.7 GB, 1.35 ms at 4.26 TB/s, for up to eight steps together.
"""

import torch
from torch import Tensor

CHUNK = 4
"""Features brought over at a time when the anchors lie in host memory."""


def forecast_sums(anchors: Tensor, weights: Tensor, gates: Tensor | None = None) -> Tensor:
    """(S, B, L, D) in float32 or wider, on the device of the weights.

    anchors (J, F, B, L, D) · weights (S, F, J, B) · gates (S, F, B, D), none: 1
    """
    if anchors.device != weights.device:
        return _streamed(anchors, weights, gates)
    if anchors.is_cuda and anchors.dtype != torch.float64:
        from sdaccel.kernels.forecast_sums_triton import forecast_sums_triton

        return forecast_sums_triton(anchors, weights, gates)
    return forecast_sums_reference(anchors, weights, gates)


def forecast_sums_reference(anchors: Tensor, weights: Tensor, gates: Tensor | None = None) -> Tensor:
    """The definition, feature by feature, accumulated in float32 (float64 for float64)."""
    wide = torch.promote_types(anchors.dtype, torch.float32)
    weights = weights.to(wide)
    total = torch.zeros((len(weights), *anchors.shape[2:]), dtype=wide, device=anchors.device)
    for f in range(anchors.shape[1]):
        forecast = torch.einsum("sjb,jb...->sb...", weights[:, f], anchors[:, f].to(wide))
        total += forecast if gates is None else gates[:, f, :, None].to(wide) * forecast
    return total


def _streamed(anchors: Tensor, weights: Tensor, gates: Tensor | None) -> Tensor:
    """Anchors from elsewhere, a few features at a time."""
    total: Tensor | None = None
    for start in range(0, anchors.shape[1], CHUNK):
        part = slice(start, start + CHUNK)
        here = anchors[:, part].to(weights.device, non_blocking=True)
        sums = forecast_sums(here, weights[:, part], None if gates is None else gates[:, part])
        total = sums if total is None else total.add_(sums)
    if total is None:
        raise ValueError("a sum over no features has no shape")
    return total
