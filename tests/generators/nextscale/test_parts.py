"""Laws of what next-scale generators share: geometry, canvas, KV cache, filters and races."""

import math

import pytest
import torch

from sdaccel.errors import BadInput
from sdaccel.generators.nextscale import tokens
from sdaccel.generators.nextscale.canvas import Canvas, PhiBank, as_map, as_tokens
from sdaccel.generators.nextscale.kv import KVCache
from sdaccel.generators.nextscale.layout import Layout, check_patch_nums, nearest_phi
from sdaccel.generators.var.model import PATCH_NUMS as OFFICIAL
from tests.conformance.upstream import TorchGeneratorRace

PATCH_NUMS = (1, 2, 3, 5)
LAYOUT = Layout(PATCH_NUMS)


def logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make_canvas(rows: int = 2) -> Canvas:
    phi = PhiBank(4)
    generator = torch.Generator().manual_seed(0)
    for p in phi.parameters():
        p.data.normal_(0, 0.2, generator=generator)
    return Canvas(phi=phi, layout=LAYOUT, empty=torch.zeros(rows, 4, 5, 5))


def codes(side: int, rows: int = 2) -> torch.Tensor:
    return torch.randn(rows, side * side, 4, generator=torch.Generator().manual_seed(side))


def test_official_layouts_have_the_published_lengths() -> None:
    starts = [Layout(OFFICIAL[256]).token_start(k) for k in range(11)]
    assert starts == [0, 1, 5, 14, 30, 55, 91, 155, 255, 424, 680]
    assert Layout(OFFICIAL[512]).token_start(10) == 2240


@pytest.mark.parametrize("prefix", [1, 7])
def test_rows_are_tokens_but_for_the_prefix_of_which_the_last_row_alone_makes_the_first_token(prefix: int) -> None:
    layout = Layout(PATCH_NUMS, prefix=prefix)
    for k in range(layout.scales):
        assert layout.rows(k) == (LAYOUT.tokens(k) if k else prefix) == layout.row_start(k + 1) - layout.row_start(k)
        assert layout.tokens(k) == LAYOUT.tokens(k) == layout.token_start(k + 1) - layout.token_start(k)
    h = torch.arange(layout.row_start(3)).view(1, -1, 1)
    assert layout.token_rows(h, first=0).flatten().tolist() == list(range(prefix - 1, layout.row_start(3)))
    assert layout.token_rows(h, first=1) is h


@pytest.mark.parametrize("layout", [LAYOUT, Layout(PATCH_NUMS, prefix=7)], ids=["one row", "prefix"])
def test_a_query_sees_its_own_scale_and_all_before_and_nothing_after(layout: Layout) -> None:
    seen = layout.visible()
    for k in range(layout.scales):
        start, end = layout.row_start(k), layout.row_start(k + 1)
        assert seen[start:end, :end].all()
        assert not seen[start:end, end:].any()
    assert torch.equal(layout.block_causal_bias() == 0, seen)


def test_phi_is_spread_as_in_the_published_tables_or_as_given() -> None:
    assert LAYOUT.phi == nearest_phi(4)
    assert nearest_phi(10) == (0, 0, 1, 1, 1, 2, 2, 3, 3, 3)
    assert nearest_phi(14) == (0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3)
    with pytest.raises(ValueError, match="3 phi for 4 scales"):
        Layout(PATCH_NUMS, phi=(0, 1, None))


def test_phi_of_one_scale_is_bad_input_because_its_position_divides_by_zero() -> None:
    with pytest.raises(BadInput, match="at least two scales"):
        Layout((1,))


@pytest.mark.parametrize(
    ("patch_nums", "image_size"), [((1,), 16), ((2, 3), 48), ((1, 3, 2), 32), ((0, 1), 16), ((1, 2, 4), 128)]
)
def test_impossible_scale_lists_are_bad_input(patch_nums: tuple[int, ...], image_size: int) -> None:
    with pytest.raises(BadInput):
        check_patch_nums(patch_nums, image_size=image_size)


def test_maps_and_tokens_are_each_others_inverse() -> None:
    assert torch.equal(as_tokens(as_map(codes(3))), codes(3))


@torch.no_grad()
def test_canvas_taken_back_and_redone_is_the_same_canvas() -> None:
    canvas = make_canvas()
    for side in PATCH_NUMS:
        canvas.add(codes(side))
    done = canvas.f_hat
    canvas.truncate(1)
    assert canvas.scale == 1
    assert not torch.equal(canvas.f_hat, done)
    for side in PATCH_NUMS[1:]:
        canvas.add(codes(side))
    assert torch.equal(canvas.f_hat, done)


@torch.no_grad()
def test_canvas_never_writes_in_place_so_earlier_states_stay() -> None:
    canvas = make_canvas()
    canvas.add(codes(1))
    before, kept = canvas.f_hat, canvas.f_hat.clone()
    canvas.add(codes(2))
    assert torch.equal(before, kept)


@torch.no_grad()
def test_next_input_of_the_last_scale_is_f_hat_itself() -> None:
    canvas = make_canvas()
    for side in PATCH_NUMS[:-1]:
        assert canvas.next_input().shape == (2, side * side, 4)
        canvas.add(codes(side))
    assert torch.equal(canvas.next_input(), as_tokens(canvas.f_hat))


def make_kv() -> KVCache:
    return KVCache(layers=2, rows=1, heads=1, capacity=6, head_dim=2, dtype=torch.float32, device=torch.device("cpu"))


def test_kv_cache_returns_what_was_appended_and_forgets_what_was_truncated() -> None:
    kv, parts = make_kv(), [torch.full((1, 1, n, 2), float(n)) for n in (2, 3, 1)]
    for part in parts:
        for layer in range(2):
            k, v = kv.append(layer, part, -part)
    assert kv.length == 6
    assert torch.equal(k, torch.cat(parts, 2))
    assert torch.equal(v, -k)
    kv.truncate(2)
    k, _ = kv.append(1, parts[2], parts[2])
    assert torch.equal(k, torch.cat([parts[0], parts[2]], 2))


def test_kv_cache_refuses_uneven_layers_and_growing_by_truncation() -> None:
    kv = make_kv()
    kv.append(0, torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
    with pytest.raises(RuntimeError, match="different numbers"):
        _ = kv.length
    with pytest.raises(ValueError, match="cannot truncate"):
        kv.truncate(1)


def test_guidance_zero_is_the_conditional_row_and_grows_away_from_the_unconditional() -> None:
    raw = logits(4, 3, 5)
    assert torch.equal(tokens.combine(raw, 0.0), raw[:2])
    assert torch.allclose(tokens.combine(raw, 2.0) - raw[:2], 2 * (raw[:2] - raw[2:]), atol=1e-5)


@pytest.mark.parametrize("top_k", [1, 3, 16])
def test_top_k_keeps_exactly_k_distinct_logits_the_largest(top_k: int) -> None:
    raw = logits(2, 3, 16)
    kept = tokens.keep_top_k(raw, top_k)
    assert ((kept > -math.inf).sum(-1) == top_k).all()
    assert torch.equal(kept.max(-1).values, raw.max(-1).values)


def test_top_k_keeps_ties_with_the_kth() -> None:
    assert (tokens.keep_top_k(torch.tensor([[3.0, 1.0, 1.0, 0.0]]), 2) > -math.inf).tolist() == [[True, True, True, False]]


@pytest.mark.parametrize("top_p", [1e-9, 1e-6, 0.5, 0.9, 1.0])
def test_top_p_keeps_the_smallest_set_of_that_mass_and_always_the_maximum(top_p: float) -> None:
    raw = logits(4, 300, 16)
    kept = tokens.keep_top_p(raw, top_p) > -math.inf
    p = raw.double().softmax(-1)
    assert kept.gather(-1, raw.argmax(-1, keepdim=True)).all()
    mass = (p * kept).sum(-1)
    least = torch.where(kept, p, 2.0).amin(-1)
    assert (mass >= top_p - 1e-6).all()
    assert ((mass - least < top_p) | (kept.sum(-1) == 1)).all()


def test_zero_keeps_all_and_filters_compose_as_top_k_first() -> None:
    raw = logits(2, 3, 16)
    assert tokens.keep(raw, top_k=0, top_p=0.0) is raw
    both = tokens.keep(raw, top_k=4, top_p=0.7)
    assert torch.equal(both, tokens.keep_top_p(tokens.keep_top_k(raw, 4), 0.7))


def test_race_never_draws_a_filtered_code_and_matches_probabilities() -> None:
    raw = torch.tensor([0.0, 1.0, 2.0, 3.0]).expand(1, 4000, 4)
    drawn = tokens.race(tokens.keep_top_k(raw, 3), tokens.PhiloxRace(torch.tensor([5])).tokens(0, 4000, 4))
    share = torch.bincount(drawn[0], minlength=4) / 4000
    assert share[0] == 0
    assert torch.allclose(share[1:], raw[0, 0, 1:].softmax(-1), atol=0.03)  # 4 standard errors


def test_race_equals_multinomial_of_the_same_generator_and_leaves_the_same_state() -> None:
    raw = logits(2, 7, 16)
    ours, theirs = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    drawn = tokens.race(raw, TorchGeneratorRace(ours, rows=2).tokens(0, 7, 16))
    expected = torch.multinomial(raw.softmax(-1).view(14, 16), 1, replacement=True, generator=theirs)
    assert torch.equal(drawn.view(14, 1), expected)
    assert torch.equal(ours.get_state(), theirs.get_state())


def test_philox_noise_of_a_sample_is_the_same_in_every_batch_and_in_every_split_of_the_tokens() -> None:
    whole = tokens.PhiloxRace(torch.tensor([7, 11, 13])).tokens(0, 9, 5)
    alone = tokens.PhiloxRace(torch.tensor([11]))
    assert torch.equal(alone.tokens(0, 9, 5)[0], whole[1])
    assert torch.equal(alone.tokens(4, 5, 5)[0], whole[1, 4:])
    assert not torch.equal(alone.smoothing(0, 9, 5)[0], whole[1])


def test_soft_weights_are_a_distribution_over_kept_codes_and_sharpen_with_the_scale() -> None:
    kept, noise = tokens.keep_top_k(logits(1, 5, 16), 4), tokens.PhiloxRace(torch.tensor([1])).smoothing(0, 5, 16)
    early, late = (tokens.soft_weights(kept, noise, ratio=ratio) for ratio in (0.0, 1.0))
    assert torch.allclose(early.sum(-1), torch.ones(1, 5))
    assert (early[kept == -math.inf] == 0).all()
    assert (late.amax(-1) >= early.amax(-1) - 1e-6).all()
