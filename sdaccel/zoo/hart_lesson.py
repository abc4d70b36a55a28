"""What HART's training reads at a step: some tokens of every scale, what the model saw before them, and its states there.

B samples · rows: text, then chosen tokens of every scale
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from sdaccel.generators.hart.model import HART, Angles, attend_by_scale
from sdaccel.generators.hart.rope import image_angles, image_positions, text_angles
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.zoo.training import Batch


@dataclass(frozen=True)
class Phase:
    """Some steps of training."""

    steps: int
    batch: int
    scales: int
    """How many, from the first on."""
    tokens: int = 0
    """So many of a scale at most, chosen anew in every step; 0: all."""


def chosen_tokens(layout: Layout, phase: Phase, generator: torch.Generator) -> list[Tensor]:
    """Of every scale of the phase, in order."""
    out = []
    for length in layout.lengths(0, phase.scales - 1):
        if phase.tokens and phase.tokens < length:
            order = torch.randperm(length, generator=generator, device=generator.device)[: phase.tokens]
            out.append(order.sort().values)
        else:
            out.append(torch.arange(length, device=generator.device))
    return out


def lesson(
    tokens: Tensor,
    maps: Tensor,
    chosen: Sequence[Tensor],
    *,
    text: Tensor,
    positions: Tensor,
    layout: Layout,
    head_dim: int,
) -> Batch:
    """What `hidden_states` reads: text, maps and rotations of the chosen tokens; and these, by scale."""
    seen, places, batch = [], [], {"text": text}
    for k, some in enumerate(chosen):
        batch[f"tokens{k}"] = tokens[:, some + layout.token_start(k)]
        if k:
            seen.append(maps[:, some + layout.token_start(k) - 1])
            places.append(image_positions(layout.patch_nums[k], full=layout.side).to(tokens.device)[some])
    image = torch.cat(places) + positions[:, -1].float().view(-1, 1, 1)
    turn = torch.cat([text_angles(positions, head_dim), image_angles(image, head_dim)], 1).unsqueeze(1)
    return batch | {"maps": torch.cat(seen, 1), "cos": turn.cos(), "sin": turn.sin()}


def tokens_of(batch: Batch) -> list[Tensor]:
    """The chosen tokens (B, n) of every scale."""
    return [batch[f"tokens{k}"] for k in range(sum(name.startswith("tokens") for name in batch))]


def hidden_states(net: HART, batch: Batch) -> tuple[Tensor, Tensor]:
    """(block output (B, rows, C), modulation of the last norm) of text and chosen tokens."""
    counts = [t.shape[1] for t in tokens_of(batch)]
    text = net.read(batch["text"])
    levels = net.lvl_embed(torch.arange(len(counts), device=text.device)).float()
    of_rows = torch.cat([levels[k].expand(count, -1) for k, count in enumerate(counts) if k])
    maps = net.word_embed(batch["maps"]).float() + of_rows
    x = torch.cat([text.float() + levels[0], maps], 1)
    attend = partial(attend_by_scale, rows=[text.shape[1], *counts[1:]])
    with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
        hidden = net.run_blocks(x, at=Angles(batch["cos"], batch["sin"]), kv=None, attend=attend)
    return hidden, net.head_modulation(text)
