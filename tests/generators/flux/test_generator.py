"""Laws of a whole generation without a strategy, of its price, and of the packing."""

from dataclasses import replace

import pytest
import torch

from sdaccel.conditions import batches
from sdaccel.generators.flux.runtime import FluxRuntime, unpack
from sdaccel.generators.text import hashed_embeddings
from sdaccel.strategies.forecast.granularity import GRANULARITIES
from sdaccel.strategies.plain import Dense, Original
from tests.generators.flux.tiny import PROMPTS, TINY, batch, bind, built, generate, noise, relative, same


def test_a_generation_repeats_bit_for_bit_also_in_another_copy_of_the_model(runtime: FluxRuntime) -> None:
    first = generate(runtime, Original())
    assert same(generate(runtime, Original()), first)
    assert same(generate(built(), Original()), first)
    assert not same(generate(replace(TINY, init_seed=1).build(torch.device("cpu")), Original()), first)


def test_images_are_pixels_and_latents_are_kept_from_the_noise_on(either: FluxRuntime) -> None:
    made = generate(either, Original())
    assert made.images.shape == (2, 3, TINY.height, TINY.width) and made.images.dtype == torch.float32
    assert 0 <= float(made.images.min()) < float(made.images.max()) <= 1
    latents = made.arrays["latents"]
    assert latents.shape == (2, TINY.num_steps + 1, TINY.tokens, 12) and latents.dtype == torch.float32
    assert torch.equal(latents[:, 0], noise([1, 2]))
    assert torch.equal(made.images, unpack(latents[:, -1], height=TINY.height, width=TINY.width))
    assert made.kinds == ["full"] * TINY.num_steps


def test_latents_are_kept_only_when_asked_for(runtime: FluxRuntime) -> None:
    assert runtime.generate(batch(), backend=Dense(), strategy=Original()).arrays == {}


def test_what_the_other_rows_hold_does_not_change_a_sample(either: FluxRuntime) -> None:
    """Fillers of a resumed run, and padding of a short last batch."""
    prompts = [f"prompt {i}" for i in range(6)]
    whole = batches(prompts, seed=3, size=3)
    resumed = batches(prompts, seed=3, size=3, done={0, 2, 3, 4})
    short = batches(prompts[:5], seed=3, size=3)[-1]
    first, last = (generate(either, Original(), b).arrays["latents"] for b in whole)
    partial, only = (generate(either, Original(), b).arrays["latents"] for b in resumed)
    assert torch.equal(partial[1], first[1]) and not torch.equal(partial[0], first[0])
    assert torch.equal(only[2], last[2])
    assert torch.equal(generate(either, Original(), short).arrays["latents"][:2], last[:2])


def test_the_row_and_the_batch_shape_change_a_sample_by_rounding_at_most(runtime: FluxRuntime) -> None:
    """Which kernel computes a row is the library's affair, so bits are only promised at the same row and shape."""
    three = generate(runtime, Original(), batch(["x", "y", "a cat"], seeds=(8, 9, 1))).arrays["latents"]
    turned = generate(runtime, Original(), batch(["a cat", "x", "y"], seeds=(1, 8, 9))).arrays["latents"]
    alone = generate(runtime, Original(), batch(["a cat"], seeds=(1,))).arrays["latents"]
    assert relative(turned[0], three[2]) < 1e-5
    assert relative(alone[0], three[2]) < 1e-5


def test_another_prompt_or_seed_is_another_image(either: FluxRuntime) -> None:
    base = generate(either, Original()).images
    reseeded = generate(either, Original(), batch(seeds=(1, 3))).images
    reworded = generate(either, Original(), batch(["a cat", "two dog"])).images
    for other in (reseeded, reworded):
        assert torch.equal(other[0], base[0])
        assert not torch.equal(other[1], base[1])


def test_prompt_embeddings_depend_on_the_prompt_alone() -> None:
    hidden, pooled = hashed_embeddings(["a", "b", "a"], tokens=4, width=6, pooled=5)
    assert hidden.shape == (3, 4, 6) and pooled.shape == (3, 5)
    assert torch.equal(hidden[0], hidden[2]) and torch.equal(pooled[0], pooled[2])
    assert not torch.equal(hidden[0], hidden[1]) and not torch.equal(pooled[0], pooled[1])
    alone = hashed_embeddings(["b"], tokens=4, width=6, pooled=5)
    assert torch.equal(alone[0][0], hidden[1]) and torch.equal(alone[1][0], pooled[1])


def test_unpack_puts_every_channel_and_pixel_in_its_place() -> None:
    """Token (r, c) is the patch at rows 2r.. and columns 2c..; within it channels come first, then rows, then columns."""
    height, width = 4, 6
    x = torch.rand(2, 6, 12, generator=torch.Generator().manual_seed(0)) * 2 - 1
    image = unpack(x, height=height, width=width)
    for token in range(6):
        for value in range(12):
            channel, inside = divmod(value, 4)
            row, column = 2 * (token // 3) + inside // 2, 2 * (token % 3) + inside % 2
            assert torch.equal(image[:, channel, row, column], x[:, token, value] / 2 + 0.5)


def test_unpack_clips_to_the_range_of_an_image() -> None:
    x = torch.tensor([-9.0, -1.0, 0.0, 1.0, 9.0, 0, 0, 0, 0, 0, 0, 0]).view(1, 1, 12)
    assert unpack(x, height=2, width=2).flatten().tolist()[:5] == [0, 0, 0.5, 1, 1]


def test_position_ids_are_in_the_order_of_the_tokens() -> None:
    ids = TINY._inputs(["a"])["img_ids"]
    assert ids.tolist() == [[0, row, column] for row in range(4) for column in range(8)]


def hand_counted_macs() -> int:
    """Matrix products and attention of one full step of TINY, from the layers' shapes."""
    d, image, text = TINY.heads * TINY.head_dim, TINY.tokens, TINY.text_tokens
    both, words = image + text, TINY.text_width
    embedders = image * 12 * d + text * words * d
    vectors = 2 * (256 * d + d * d) + words * d + d * d  # time and guidance from 256 sinusoids, pooled text
    attention = both * 4 * d * d + 2 * both * both * d  # q, k, v, out; scores and their sum over values
    double = 2 * d * 6 * d + attention + both * 2 * d * 4 * d
    single = d * 3 * d + both * 3 * d * d + 2 * both * both * d + both * d * 4 * d + both * 5 * d * d
    head = d * 2 * d + image * d * 12
    return embedders + vectors + TINY.doubles * double + TINY.singles * single + head


def test_macs_of_a_full_step_are_those_counted_by_hand() -> None:
    assert TINY.cost().macs == [hand_counted_macs()] * TINY.num_steps


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_the_price_of_features_is_what_a_full_step_emits(granularity: str, runtime: FluxRuntime) -> None:
    seam, kept = bind(runtime, PROMPTS[:1]), list[int]()
    names = GRANULARITIES[granularity].names(seam)
    with torch.no_grad():
        seam.full(0, noise([1]), emit=lambda name, feature: kept.append(feature.numel()), names=names)
    assert TINY.cost().features[granularity] == sum(kept) and len(kept) == len(names)


def test_a_step_in_part_costs_the_doubles_and_a_forecast_the_ends() -> None:
    cost, deep = TINY.cost(), replace(TINY, singles=4).cost()
    parts = [cost.shares[kind] * cost.macs[0] for kind in ("forecast", "partial")]
    assert 0 < parts[0] < parts[1] < cost.macs[0]
    assert [deep.shares[kind] * deep.macs[0] for kind in ("forecast", "partial")] == pytest.approx(parts)
    kinds = ["full", "partial", "forecast", "unheard of"] * 3
    assert cost.macs_of(kinds) == pytest.approx([cost.macs[0], parts[1], parts[0], 0] * 3)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_price_in_bytes_is_that_of_the_built_model(dtype: str) -> None:
    runtime = built(dtype)
    cost = runtime.config.cost()
    assert cost.weight_bytes == sum(p.nbytes for p in runtime.parameters())
    assert not list(runtime.buffers()), "a buffer would be weight that the price leaves out"
    assert cost.image_bytes == 3 * TINY.height * TINY.width
