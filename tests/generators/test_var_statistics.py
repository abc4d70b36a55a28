"""Long law: over many seeds, the tokens are distributed as the guided, filtered logits say."""

from collections import Counter

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sdaccel.generators.nextscale.loop import sample
from sdaccel.generators.nextscale.tokens import PhiloxRace
from sdaccel.generators.var.generator import Var
from sdaccel.generators.var.sampler import VarModel
from sdaccel.noise import sample_seeds

DRAWS, BATCH = 20_000, 1000
CONFIG = Var(
    depth=2, num_classes=4, vocab=16, Cvae=8, ch=32, image_size=32, patch_nums=[1, 2], init_unit_scale=True, cfg=2, top_k=12
)


@pytest.mark.verify
def test_tokens_of_both_scales_follow_the_guided_filtered_softmax() -> None:
    runtime = CONFIG.build(torch.device("cpu"))
    tokens: list[Tensor] = []
    stated: dict[tuple[int, ...], Tensor] = {}
    for start in range(0, DRAWS, BATCH):
        seen: dict[str, list[Tensor]] = {"filtered": []}
        noise = PhiloxRace(sample_seeds(3, range(start, start + BATCH)))
        labels = torch.full((BATCH,), 1)
        made = sample(
            VarModel(runtime.var, runtime.vae),
            labels,
            noise=noise,
            sampling=CONFIG.sampling,
            record=lambda name, tensor, seen=seen: seen.setdefault(name, []).append(tensor),  # type: ignore[misc]
        )
        tokens.append(made.tokens)
        stated[()] = seen["filtered"][0][0, 0].softmax(-1)
        for row in range(BATCH):
            stated[(int(made.tokens[row, 0]),)] = seen["filtered"][1][row, 0].softmax(-1)
    drawn = torch.cat(tokens)
    first = Counter(drawn[:, 0].tolist())
    _agrees(first, stated[()])
    commonest = first.most_common(1)[0][0]
    _agrees(Counter(drawn[drawn[:, 0] == commonest, 1].tolist()), stated[(commonest,)])


def _agrees(counts: Counter[int], p: Tensor) -> None:
    """Chi-square over the codes the filter kept; a dropped code never appears."""
    kept = [v for v in range(len(p)) if p[v] > 0]
    assert set(counts) <= set(kept)
    total = sum(counts.values())
    expected = p[kept].double() / p[kept].double().sum() * total
    assert chisquare([counts[v] for v in kept], expected.tolist()).pvalue > 1e-3
