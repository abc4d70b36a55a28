"""Laws of the noise: the generator is Philox, every number is a function of (seed, stream, index), and laws are exact."""

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from sdaccel import noise
from sdaccel.noise import Stream, exponential, normal, philox4x32, sample_seeds, uniform, words

F = 0xFFFFFFFF
ANSWERS = {  # Random123's published vectors: counter, key, output
    "zeros": ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    "ones": ((F, F, F, F), (F, F), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    "pi": (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
}
# Found by search in (seed 7, LATENT): where the words 0 and 2^32 - 1 are.
EXTREME_SEED = 7
ZERO_EVEN, ZERO_ODD, ONES_EVEN, ONES_ODD = 12327881042, 4369871875, 5318618356, 10290144043
DRAWS = {"uniform": uniform, "exponential": exponential, "normal": normal}


def philox_of(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    c, k = ([torch.tensor(word) for word in group] for group in (counter, key))
    return tuple(int(word) for word in philox4x32((c[0], c[1], c[2], c[3]), (k[0], k[1])))


def independent(counter: tuple[int, ...], key: tuple[int, ...]) -> tuple[int, ...]:
    """Philox4x32-10 in Python's unbounded integers."""
    x0, x1, x2, x3 = counter
    for r in range(10):
        left, right = 0xD2511F53 * x0, 0xCD9E8D57 * x2
        x0, x2 = (
            (right >> 32) ^ x1 ^ ((key[0] + r * 0x9E3779B9) % 2**32),
            (left >> 32) ^ x3 ^ ((key[1] + r * 0xBB67AE85) % 2**32),
        )
        x1, x3 = right % 2**32, left % 2**32
    return x0, x1, x2, x3


def independent_word(seed: int, stream: int, index: int) -> int:
    block, lane = divmod(index, 4)
    unsigned = seed % 2**64
    return independent((block % 2**32, block >> 32, stream, 0), (unsigned % 2**32, unsigned >> 32))[lane]


@pytest.mark.parametrize("name", ANSWERS)
def test_published_vectors(name: str) -> None:
    counter, key, output = ANSWERS[name]
    assert philox_of(counter, key) == output
    assert independent(counter, key) == output


@pytest.mark.parametrize("constant", ["MULTIPLIERS", "WEYL"])
def test_the_published_vectors_catch_swapped_constants(constant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, constant, getattr(noise, constant)[::-1])
    counter, key, output = ANSWERS["pi"]
    assert philox_of(counter, key) != output


def test_philox_equals_unbounded_integers_on_random_inputs() -> None:
    draw = random.Random(0)
    for _ in range(200):
        counter, key = (tuple(draw.getrandbits(32) for _ in range(n)) for n in (4, 2))
        assert philox_of(counter, key) == independent(counter, key)


@pytest.mark.parametrize("start", [0, 1, 6, 2**32 - 3, 2**34 - 5, 2**40 + 3], ids=lambda start: f"from_{start}")
def test_words_are_philox_of_seed_stream_and_index(start: int) -> None:
    """Also across the carry into the counter's second word, and for seeds that use all 64 bits."""
    seeds = [0, 1, 2**32, 2**63 - 1, -2, 0x0123456789ABCDEF]
    got = words(torch.tensor(seeds), Stream.HEAD, start=start, count=9)
    assert got.tolist() == [[independent_word(seed, 4, start + i) for i in range(9)] for seed in seeds]


def test_stream_numbers_are_protocol_and_never_change() -> None:
    names = ["LATENT", "RACE", "ACCEPT", "RESIDUAL", "HEAD", "GUMBEL", "CONDITION", "SEED", "SPARSE"]
    assert {stream.name: int(stream) for stream in Stream} == {name: i for i, name in enumerate(names)}


@pytest.mark.parametrize("kind", DRAWS)
def test_any_slice_is_the_same_slice_of_a_longer_stream(kind: str) -> None:
    seeds = torch.tensor([3, 2**40 + 1])
    whole = DRAWS[kind](seeds, Stream.RACE, (50,))
    for start, count in [(0, 1), (0, 50), (1, 7), (2, 2), (3, 4), (17, 33), (49, 1)]:
        assert torch.equal(DRAWS[kind](seeds, Stream.RACE, (count,), start=start), whole[:, start : start + count])
    assert torch.equal(DRAWS[kind](seeds, Stream.RACE, (2, 5, 5)), whole.view(2, 2, 5, 5))


@pytest.mark.parametrize("kind", DRAWS)
def test_a_sample_is_the_same_in_any_batch(kind: str) -> None:
    seeds = sample_seeds(5, range(4))
    together = DRAWS[kind](seeds, Stream.LATENT, (3, 5))
    assert torch.equal(DRAWS[kind](seeds.flip(0), Stream.LATENT, (3, 5)).flip(0), together)
    alone = torch.cat([DRAWS[kind](seeds[i : i + 1], Stream.LATENT, (3, 5)) for i in range(4)])
    assert torch.equal(alone, together)


def test_streams_seeds_and_both_halves_of_a_seed_give_other_words() -> None:
    """Of 1000 words two independent streams share one with probability 2^-22 per pair."""
    rows = [words(torch.tensor([seed]), stream, start=0, count=1000)[0] for stream in Stream for seed in (1, 2, 2**32 + 1)]
    for i, a in enumerate(rows):
        assert all(int((a == b).sum()) == 0 for b in rows[:i])


def extreme(draw: Callable[..., Tensor], index: int) -> float:
    return float(draw(torch.tensor([EXTREME_SEED]), Stream.LATENT, (1,), start=index))


def test_the_extreme_words_are_where_the_search_found_them() -> None:
    for index, word in [(ZERO_EVEN, 0), (ZERO_ODD, 0), (ONES_EVEN, F), (ONES_ODD, F)]:
        assert independent_word(EXTREME_SEED, Stream.LATENT, index) == word
        assert int(words(torch.tensor([EXTREME_SEED]), Stream.LATENT, start=index, count=1)) == word


def test_uniform_lies_strictly_inside_0_and_1_even_at_the_extreme_words() -> None:
    """In float32 (2^32 - 1/2) / 2^32 would round to 1."""
    assert extreme(uniform, ZERO_EVEN) == 2.0**-33
    assert extreme(uniform, ONES_EVEN) == 1 - 2.0**-24
    assert float(torch.tensor((F + 0.5) * 2.0**-32, dtype=torch.float64).float()) == 1


def test_exponential_is_positive_and_finite_at_the_extreme_words() -> None:
    assert extreme(exponential, ZERO_ODD) == pytest.approx(2.0**-33, rel=1e-6)
    assert extreme(exponential, ONES_ODD) == pytest.approx(33 * np.log(2), rel=1e-6)


def test_normal_is_finite_at_the_extreme_words() -> None:
    tail = extreme(normal, ZERO_EVEN // 2)
    assert 0 < abs(tail) <= np.sqrt(66 * np.log(2)) * (1 + 1e-6)
    assert 0 <= abs(extreme(normal, ONES_EVEN // 2)) < 1e-4
    assert all(np.isfinite(extreme(normal, index // 2)) for index in (ZERO_ODD, ONES_ODD))


@pytest.mark.parametrize("stream", list(Stream), ids=lambda stream: stream.name)
def test_every_byte_of_the_words_is_uniform(stream: Stream) -> None:
    flat = words(torch.tensor([11, 12]), stream, start=0, count=50_000).flatten()
    for shift in (0, 8, 16, 24):
        counts = torch.bincount((flat >> shift) & 0xFF, minlength=256).numpy()
        assert stats.chisquare(counts).pvalue > 1e-4


def kolmogorov(values: Tensor, law: str) -> float:
    return float(stats.kstest(values.double().flatten().numpy(), law).pvalue)


@pytest.mark.parametrize(("kind", "law"), [("uniform", "uniform"), ("exponential", "expon"), ("normal", "norm")])
def test_draws_follow_their_law(kind: str, law: str) -> None:
    values = DRAWS[kind](sample_seeds(1, range(4)), Stream.RESIDUAL, (25_000,))
    assert kolmogorov(values, law) > 1e-3
    assert kolmogorov(1.03 * values, law) < 1e-3, "3 % too wide would not be seen"


def test_neighbouring_normals_are_uncorrelated() -> None:
    """Box-Muller's two numbers of a pair share a radius: taking both from overlapping words would show here."""
    x = normal(torch.tensor([3]), Stream.LATENT, (100_000,))[0].double()
    for lag in (1, 2, 3, 4):
        for a in (x, x.square() - 1):
            assert abs(float((a[:-lag] * a[lag:]).mean() / a.square().mean())) < 5 / len(x) ** 0.5


def race_pvalue(score: Callable[[Tensor, Tensor], Tensor]) -> float:
    """Chi-square of 60 000 races over classes of very different weight."""
    p = torch.tensor([0.4, 0.3, 0.2, 0.05, 0.03, 0.015, 0.004, 0.001])
    e = exponential(torch.arange(6), Stream.RACE, (10_000, len(p)))
    counts = torch.bincount(score(p, e).argmax(-1).flatten(), minlength=len(p)).double()
    return float(stats.chisquare(counts.numpy(), (p.double() / p.double().sum() * counts.sum()).numpy()).pvalue)


def test_the_winner_of_the_exponential_race_follows_p() -> None:
    assert race_pvalue(lambda p, e: p / e) > 1e-3


def test_the_race_law_catches_a_race_the_wrong_way_round() -> None:
    assert race_pvalue(lambda p, e: p * e) < 1e-12


def test_a_sample_seed_depends_on_study_seed_and_index_alone() -> None:
    seeds = sample_seeds(9, range(20))
    assert torch.equal(sample_seeds(9, range(7)), seeds[:7])
    assert torch.equal(sample_seeds(9, [13, 2, 2]), seeds[[13, 2, 2]])
    assert not (seeds == sample_seeds(10, range(20))).any()
    low, high = (independent_word(9, Stream.SEED, 2 * 13 + i) for i in (0, 1))
    assert int(seeds[13]) == low + ((high % 2**31) << 32)


def test_10_000_sample_seeds_are_distinct_63_bit_numbers_that_use_every_bit() -> None:
    seeds = sample_seeds(0, range(10_000))
    assert seeds.dtype == torch.int64 and int(seeds.min()) >= 0
    assert len(seeds.unique()) == 10_000
    shares = torch.stack([((seeds >> bit) & 1).double().mean() for bit in range(63)])
    assert float((shares - 0.5).abs().max()) < 0.025  # 5 sigma
