"""Triton kernel of `forecast_sums`: every anchor is read once for up to eight forecast steps, whose sums stay in registers.

One program owns a few tokens and some hundred channels of one row, and walks over all features and anchors. Tokens and steps
are unrolled over vectors of channels: all vectors then lie alike over the threads, and nothing passes through shared memory.
The tokens of a program share what it reads of the gates, and programs that run side by side on a multiprocessor share its
cache, because they differ in tokens first.
"""

# mypy: disable-error-code="assignment"
# (the kernel language grows tuples, which Python's types do not)

import torch
import triton
import triton.language as tl
from torch import Tensor

STEPS = 8
"""Forecast steps of one pass; more take another pass over the anchors."""
TOKENS = 4
"""Of a program."""


def tile(steps: int) -> tuple[int, int]:
    """(channels, warps) of a program, the fastest at FLUX.1's size on an H200: wide loads for few steps, room for many sums.

    A thread holds 4 x 8 sums for every step, or 4 x 2.
    """
    return (256, 1) if steps <= 4 else (512, 8)


def forecast_sums_triton(anchors: Tensor, weights: Tensor, gates: Tensor | None = None) -> Tensor:
    """Same as `forecast_sums_reference`, for anchors of at most 32 bits."""
    anchors = anchors.contiguous()
    _, features, rows, tokens, channels = anchors.shape
    total = torch.empty((len(weights), rows, tokens, channels), dtype=torch.float32, device=anchors.device)
    for start in range(0, len(weights), STEPS):
        here = total[start : start + STEPS]
        width, warps = tile(len(here))
        _sums[(triton.cdiv(tokens, TOKENS), triton.cdiv(channels, width), rows)](
            anchors,
            weights[start : start + STEPS].float().contiguous(),
            here if gates is None else gates[start : start + STEPS].contiguous(),
            here,
            rows,
            tokens,
            channels,
            FEATURES=features,
            ANCHORS=len(anchors),
            STEPS=len(here),
            TOKENS=TOKENS,
            CHANNELS=width,
            GATED=gates is not None,
            num_warps=warps,
        )
    return total


@triton.jit(do_not_specialize=["rows", "tokens"])  # a number that is 1 would come without a type
def _sums(  # type: ignore[no-untyped-def]  # pointers and numbers of the kernel language
    anchors,  # (J, F, B, L, D)
    weights,  # (S, F, J, B)
    gates,  # (S, F, B, D)
    total,  # (S, B, L, D)
    rows,
    tokens,
    channels,
    FEATURES: tl.constexpr,  # no interpreter with NumPy 2.5 counts to a number that comes at run time
    ANCHORS: tl.constexpr,
    STEPS: tl.constexpr,
    TOKENS: tl.constexpr,
    CHANNELS: tl.constexpr,
    GATED: tl.constexpr,
):
    token = tl.program_id(0) * TOKENS
    channel = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    row = tl.program_id(2)
    size = rows.to(tl.int64) * tokens * channels  # of one feature: offsets of FLUX.1's anchors do not fit 32 bits
    place = (row.to(tl.int64) * tokens + token) * channels + channel
    sums = ()
    for _ in tl.static_range(STEPS * TOKENS):
        sums = sums + (tl.zeros((CHANNELS,), tl.float32),)  # noqa: RUF005  # the kernel language knows no unpacking
    for f in range(FEATURES):
        read = ()
        for j in tl.static_range(ANCHORS):
            for t in tl.static_range(TOKENS):
                at = anchors + (j * FEATURES + f) * size + t * channels + place
                limit = tl.where(token + t < tokens, channels, 0)  # a mask of `&` is no mask to some interpreters
                read = read + (tl.load(at, mask=channel < limit, other=0.0).to(tl.float32),)  # noqa: RUF005
        new = ()
        for s in tl.static_range(STEPS):
            of = s * FEATURES + f
            if GATED:
                gate = tl.load(gates + (of * rows + row) * channels + channel, mask=channel < channels, other=0.0).to(
                    tl.float32
                )
            for t in tl.static_range(TOKENS):
                forecast = tl.zeros((CHANNELS,), tl.float32)
                for j in tl.static_range(ANCHORS):
                    forecast += tl.load(weights + (of * ANCHORS + j) * rows + row) * read[j * TOKENS + t]
                new = new + (sums[s * TOKENS + t] + (gate * forecast if GATED else forecast),)  # noqa: RUF005
        sums = new
    for s in tl.static_range(STEPS):
        for t in tl.static_range(TOKENS):
            limit = tl.where(token + t < tokens, channels, 0)
            tl.store(total + s * size + t * channels + place, sums[s * TOKENS + t], mask=channel < limit)
