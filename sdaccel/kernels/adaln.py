"""The elementwise pieces between a VAR block's matrix products (plain torch; Triton kernels beside them).

R rows · l tokens · C width · H heads · d head dimension. x is the residual stream, (R, l, C) in float32 or wider; gates, scales
and shifts are (R, 1, C); what a product takes or gave is (R, l, C) in its own format.

Floor of `add_modulated` in half precision: 4 + 2 bytes read and 4 + 2 written per element of x. d16, 256 px, B = 32: 17 GB per
batch over blocks and scales, 4 ms at 4.26 TB/s; torch's own operators move three times as much.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def modulated(x: Tensor, one_plus: Tensor, shift: Tensor, dtype: torch.dtype) -> Tensor:
    """LayerNorm without weights, times 1 + s, plus b."""
    if x.dtype == torch.float32 and x.is_cuda:
        from sdaccel.kernels.adaln_triton import adaln

        return adaln(x, None, None, one_plus, shift, dtype)
    return modulated_reference(x, one_plus, shift, dtype)


def add_gated(x: Tensor, gate: Tensor, branch: Tensor) -> Tensor:
    """x += g branch."""
    if x.dtype == torch.float32 and x.is_cuda:
        from sdaccel.kernels.adaln_triton import add

        return add(x, gate, branch)
    return add_gated_reference(x, gate, branch)


def add_modulated(x: Tensor, gate: Tensor, branch: Tensor, one_plus: Tensor, shift: Tensor, dtype: torch.dtype) -> Tensor:
    """x += g branch, and at once what the next product takes of it."""
    if x.dtype == torch.float32 and x.is_cuda:
        from sdaccel.kernels.adaln_triton import adaln

        return adaln(x, gate, branch, one_plus, shift, dtype)
    return modulated_reference(add_gated_reference(x, gate, branch), one_plus, shift, dtype)


def place(qkv: Tensor, factor: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Unit k and v into their places in the cache (R, H, l, d); unit q, (R, H, l, d), from qkv (R, l, 3, H, d).

    `factor` (2, H, 1) is what unit q and k are multiplied by.
    """
    if factor.dtype == torch.float32 and qkv.is_cuda:
        from sdaccel.kernels.adaln_triton import place_triton

        return place_triton(qkv, factor, keys, values)
    return place_reference(qkv, factor, keys, values)


def place_kv(k: Tensor, v: Tensor, factor: Tensor, keys: Tensor, values: Tensor) -> None:
    """Unit k and v (R, H, l, d) alone into their places, by torch's operators on every device: no plain generation needs it."""
    keys.copy_(_unit(k, factor[1]))
    values.copy_(v)


def modulated_reference(x: Tensor, one_plus: Tensor, shift: Tensor, dtype: torch.dtype) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], eps=1e-6).mul_(one_plus).add_(shift).to(dtype)


def add_gated_reference(x: Tensor, gate: Tensor, branch: Tensor) -> Tensor:
    return x.add_(gate * branch)


def place_reference(qkv: Tensor, factor: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    q, k, v = qkv.permute(2, 0, 3, 1, 4)
    place_kv(k, v, factor, keys, values)
    # Dense: on a CPU attention takes longer over a q that has k and v between its tokens.
    return _unit(q, factor[0]).to(qkv.dtype)


def _unit(x: Tensor, factor: Tensor) -> Tensor:
    x = x.to(factor.dtype)
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(1e-12) * factor.unsqueeze(1)
