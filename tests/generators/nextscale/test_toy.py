"""The shared loop on a model that is no VAR: text in front, heads that are not layers, a scale without phi, a residual head."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sdaccel.generators.nextscale.canvas import Canvas, PhiBank
from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.loop import Sample, ScaleLoop, sample
from sdaccel.generators.nextscale.seam import Sublayers
from sdaccel.generators.nextscale.tokens import Draw, PhiloxRace, Race, Sampling, combine
from sdaccel.strategies.speculative.coupled import Coupled
from sdaccel.strategies.speculative.decode import Speculation
from sdaccel.strategies.speculative.gammas import Fixed
from sdaccel.strategies.speculative.handover import HandoverRule
from sdaccel.strategies.speculative.masks import CORRECT, MASKS

LAYOUT = Layout((1, 2, 3, 4), prefix=5, phi=(0, 2, 1, None))
K = LAYOUT.scales
WIDTH, VOCAB, CVAE = 8, 16, 4
SAMPLING = Sampling([Draw(0.0, 9, 0.0), Draw(0.5, 9, 0.0), Draw(1.5, 4, 0.9), Draw(0.5, 4, 0.9)])
"""By scale: no formula of VAR's gives these."""


def weights(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * shape[-2] ** -0.5


class Toy:
    layers, heads, head_dim, layout, dtype, device = 3, 2, 4, LAYOUT, torch.float64, torch.device("cpu")

    def __init__(self, seed: int) -> None:
        shared, own = (torch.Generator().manual_seed(s) for s in (0, seed))
        self.codebook, self.phi = weights(shared, VOCAB, CVAE), PhiBank(CVAE).double().requires_grad_(False)
        for p in self.phi.parameters():
            p.copy_(weights(shared, *p.shape, 1).squeeze(-1))
        self.words, self.place = 3 * weights(own, VOCAB, WIDTH), weights(own, LAYOUT.row_start(K), WIDTH)
        self.embedding, self.head, self.residual = (weights(own, *s) for s in ((CVAE, WIDTH), (WIDTH, VOCAB), (WIDTH, CVAE)))
        self.qkv, self.out = weights(own, self.layers, WIDTH, 3 * WIDTH), weights(own, self.layers, WIDTH, WIDTH)

    def prepare(self, condition: Any) -> Tensor:
        """Five words (B, 5) and as many empty ones."""
        return self.words[torch.cat([condition, torch.zeros_like(condition)])]

    def begin(self, given: Tensor) -> Tensor:
        return given + self.place[: LAYOUT.rows(0)]

    def embed(self, given: Tensor, maps: Tensor, *, first: int, last: int) -> Tensor:
        return (maps @ self.embedding).repeat(2, 1, 1) + self.place[LAYOUT.row_start(first) : LAYOUT.row_start(last + 1)]

    def run_blocks(
        self, given: Tensor, x: Tensor, *, first: int, last: int, kv: KVCache, bias: Tensor | None, sublayers: Sublayers | None
    ) -> Tensor:
        start, end = LAYOUT.row_start(first), LAYOUT.row_start(last + 1)
        bias = LAYOUT.block_causal_bias()[start:end, :end] if bias is None else bias
        for layer in range(self.layers):
            x = x + self.attention(layer, x, kv, bias.double())
        return x

    def attention(self, layer: int, x: Tensor, kv: KVCache, bias: Tensor) -> Tensor:
        q, k, v = (x @ self.qkv[layer]).unflatten(-1, (3, self.heads, self.head_dim)).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, *kv.append(layer, k, v), attn_mask=bias)
        return y.transpose(1, 2).flatten(2) @ self.out[layer]

    def logits(self, given: Tensor, h: Tensor) -> Tensor:
        return 2 * h @ self.head

    def codes_of(
        self, tokens: Tensor, hidden: Tensor | None, scale: int, *, weights: Tensor | None, t: float, noise: Race
    ) -> Tensor:
        assert hidden is not None and weights is None
        return self.codebook[tokens] + (combine(hidden @ self.residual, t) if scale == K - 1 else 0)

    def canvas(self, rows: int) -> Canvas:
        return Canvas(phi=self.phi, layout=LAYOUT, empty=torch.zeros(rows, CVAE, LAYOUT.side, LAYOUT.side).double())

    def decode(self, f_hat: Tensor) -> Tensor:
        return f_hat[:, :3].tanh()


TARGET, DRAFT = Toy(1), Toy(2)
TEXT = torch.randint(VOCAB, (6, LAYOUT.prefix), generator=torch.Generator().manual_seed(3))


def start(model: Toy) -> ScaleLoop:
    return ScaleLoop(model, TEXT, noise=PhiloxRace(torch.arange(len(TEXT))), sampling=SAMPLING)


def alone(model: Toy) -> Sample:
    return sample(model, TEXT, noise=PhiloxRace(torch.arange(len(TEXT))), sampling=SAMPLING)


def same(a: Sample, b: Sample) -> bool:
    return torch.equal(a.tokens, b.tokens) and bool((a.f_hats - b.f_hats).abs().max() < 1e-12)


def test_one_token_comes_of_the_prefix_and_every_row_of_it_is_read() -> None:
    made = alone(TARGET)
    assert made.tokens.shape == (6, 30) and made.f_hats.shape == (6, K, CVAE, 4, 4)
    loop = start(TARGET)
    for k in range(K):
        assert loop.run.kv.length == LAYOUT.row_start(k)
        loop.full(k)
    assert loop.run.kv.length == 5 + 29
    for word in range(LAYOUT.prefix):
        other = TEXT.clone()
        other[:, word] = (other[:, word] + 1) % VOCAB
        changed = ScaleLoop(TARGET, other, noise=loop.noise, sampling=SAMPLING)
        assert not torch.equal(changed.guided(None, first=0, last=0).logits, start(TARGET).guided(None, first=0, last=0).logits)


def test_one_pass_over_all_scales_says_what_one_pass_each_says_row_by_row() -> None:
    loop, again = start(TARGET), start(TARGET)
    for k in range(K):
        loop.full(k)
    each = [again.guided(loop.canvas.inputs_of(k, k), first=k, last=k) for k in range(K)]
    parts = loop.guided(loop.canvas.inputs_of(0, K - 1), first=0, last=K - 1, rows=[1, 4]).split(LAYOUT.lengths())
    for one, part in zip(each, parts, strict=True):
        assert one.hidden is not None and part.hidden is not None
        assert (one.logits[[1, 4]] - part.logits).abs().max() < 1e-12
        assert (one.hidden[[1, 4, 7, 10]] - part.hidden).abs().max() < 1e-12


def test_a_scale_without_phi_is_painted_as_its_codes_are() -> None:
    loop = start(TARGET)
    for k in range(K):
        loop.full(k)
    codes = torch.randn(6, 16, CVAE, dtype=torch.float64)
    assert torch.equal(loop.canvas.contribution(codes, scale=K - 1), codes.transpose(1, 2).unflatten(2, (4, 4)))


@pytest.mark.parametrize("sd_mask", MASKS)
def test_handovers_end_in_the_models_alone_and_only_the_right_mask_continues_a_model_by_itself(sd_mask: int) -> None:
    def hand_over(draft: Toy, entry: int) -> Sample:
        seam, kinds = start(TARGET), ["draft"] * entry + ["full"] * (K - entry)
        HandoverRule(seam, start(draft), entry=entry, sd_mask=sd_mask, kinds=kinds).decode()
        return seam.finish()

    assert same(hand_over(DRAFT, 0), alone(TARGET)) and torch.equal(hand_over(DRAFT, K).tokens, alone(DRAFT).tokens)
    itself = [same(hand_over(TARGET, entry), alone(TARGET)) for entry in range(1, K)]
    assert all(itself) if sd_mask == CORRECT else not all(itself)


@pytest.mark.parametrize("gamma", [1, 2, 3])
def test_coupled_speculation_makes_the_targets_own_samples(gamma: int) -> None:
    """Rows part ways, and the last scale is painted with block output: of the right rows, or its canvas would be another."""
    seam = start(TARGET)
    judge, gammas = Coupled(draft=None).judge, [Fixed(gamma) for _ in TEXT]
    rule = Speculation(seam, start(DRAFT), judge=judge, gammas=gammas, distances=True)
    rule.decode()
    assert same(seam.finish(), alone(TARGET))
    assert len(set(rule.stats()["accepted"].tolist())) > 1, "no two rows parted"
