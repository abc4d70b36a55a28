"""Laws of the engines: one model, one law, one set of tokens, whatever computes them."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sdaccel.benches.agreement import Difference, agreement, compare
from sdaccel.conditions import Batch
from sdaccel.errors import BadInput
from sdaccel.generators.base import Generation
from sdaccel.generators.nextscale.autocast import Autocast, GrowingCache
from sdaccel.generators.nextscale.canvas import enlarge
from sdaccel.generators.nextscale.run import GuidedRun
from sdaccel.generators.nextscale.static_canvas import bicubic
from sdaccel.generators.var.engine import ENGINES
from sdaccel.generators.var.engine_decode import suited
from sdaccel.generators.var.engine_fast import Fast, FastLoop
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.generators.var.sampler import VarModel
from sdaccel.kernels.race import guided_race, knobs
from sdaccel.measure.macs import operator_calls
from sdaccel.strategies.scale_skipping import ScaleSkipping
from tests.studies import frame

CPU = torch.device("cpu")
SIDES = [1, 2, 3, 4]
TINY = Var(
    depth=2, num_classes=5, vocab=32, Cvae=4, ch=32, image_size=64, patch_nums=SIDES, init_unit_scale=True, top_k=0, top_p=0.9
)
DOUBLE = replace(TINY, dtype="float64")
OPTIONS = [
    {},
    {"cfg": 0.0, "top_p": 0.0},
    {"cfg": 4.0, "top_k": 7, "top_p": 0.0},
    {"cfg": 2.0, "top_k": 12, "top_p": 0.8},
    {"more_smooth": True, "top_k": 12},
    {"shared_aln": True, "cfg": 3.0},
]


def batch(labels: list[int], seed: int) -> Batch:
    return Batch(tuple(labels), torch.arange(len(labels)) + seed, {i: i for i in range(len(labels))})


def generate(config: Var | VarRuntime, of: Batch, strategy: object = None) -> Generation:
    runtime = config.build(CPU) if isinstance(config, Var) else config
    return runtime.generate(of, backend=None, strategy=strategy, keep=["tokens", "f_hat"])


def fast_loop(config: Var, labels: list[int], seeds: list[int]) -> FastLoop:
    engine = replace(config, engine="fast").build(CPU).engine
    assert isinstance(engine, Fast)
    return engine.start(torch.tensor(labels), torch.tensor(seeds), sampling=config.sampling)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_in_float64_fast_is_eager_token_for_token(options: dict[str, float]) -> None:
    config = replace(DOUBLE, **options)  # type: ignore[arg-type]
    eager, fast = (replace(config, engine=name).build(CPU) for name in ("eager", "fast"))
    for labels, seed in (([1], 3), ([0, 4, -1], 20), ([2, 2], -9)):
        a, b = (generate(runtime, batch(labels, seed)) for runtime in (eager, fast))
        assert torch.equal(a.arrays["tokens"], b.arrays["tokens"])
        assert (a.arrays["f_hat"] - b.arrays["f_hat"]).abs().max() < 1e-12
        assert (a.images - b.images).abs().max() < 1e-6  # both are handed out in float32
        assert a.kinds == b.kinds


@torch.no_grad()
def test_in_float64_the_image_of_fast_is_that_of_eager_to_1e_12() -> None:
    fast = fast_loop(DOUBLE, [1, 2], [5, 6])
    for k in range(len(SIDES)):
        fast.full(k)
    made = fast.finish()
    vae = DOUBLE.build(CPU).vae
    assert made.images.dtype == torch.float64
    assert (made.images - (vae.decode(made.f_hats[:, -1]) + 1) / 2).abs().max() < 1e-12


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("last", [1, 3])
@torch.no_grad()
def test_scale_skipping_works_with_every_engine_and_leaves_no_trace(engine: str, last: int) -> None:
    runtime = replace(TINY, engine=engine, dtype="bfloat16" if engine == "autocast" else "float32").build(CPU)
    of, ran = batch([1, 3], 5), len(SIDES) - last
    full, short = generate(runtime, of), generate(runtime, of, ScaleSkipping(last=last))
    end = sum(side**2 for side in SIDES[:ran])
    assert torch.equal(short.arrays["tokens"][:, :end], full.arrays["tokens"][:, :end])
    assert (short.arrays["tokens"][:, end:] == -1).all()
    assert torch.equal(short.arrays["f_hat"][:, -1], full.arrays["f_hat"][:, ran - 1])
    assert short.kinds == ["full"] * ran + ["skip"] * last
    assert torch.equal(generate(runtime, of).images, full.images)


def test_skipping_on_fast_makes_the_pictures_of_skipping_on_eager() -> None:
    a, b = (generate(replace(DOUBLE, engine=name), batch([1, 3], 5), ScaleSkipping(last=2)) for name in ("eager", "fast"))
    assert torch.equal(a.arrays["tokens"], b.arrays["tokens"])
    assert (a.images - b.images).abs().max() < 1e-6


@pytest.mark.parametrize("back_to", range(len(SIDES)))
@torch.no_grad()
def test_a_fast_generation_taken_back_and_redone_changes_no_bit(back_to: int) -> None:
    loop, straight = (fast_loop(TINY, [1, 2], [7, 8]) for _ in range(2))
    for k in range(len(SIDES)):
        straight.full(k)
        loop.full(k)
    loop.truncate(back_to)
    loop.seeds.add_(1)  # a draft that is then rejected
    for k in range(back_to, len(SIDES)):
        loop.full(k)
    assert not torch.equal(loop.tokens, straight.tokens)
    loop.truncate(back_to)
    loop.seeds.sub_(1)
    for k in range(back_to, len(SIDES)):
        loop.full(k)
    made, expected = loop.finish(), straight.finish()
    assert torch.equal(made.tokens, expected.tokens)
    assert torch.equal(made.f_hats, expected.f_hats)
    assert torch.equal(made.images, expected.images)


@pytest.mark.parametrize("shared_aln", [False, True])
@torch.no_grad()
def test_fast_prefill_of_several_scales_equals_one_scale_at_a_time_and_the_reference(shared_aln: bool) -> None:
    loop = fast_loop(replace(DOUBLE, shared_aln=shared_aln), [0, 2], [1, 2])
    run, reference = loop.run, GuidedRun(loop.run.model, torch.tensor([0, 2]))
    maps = torch.randn(2, 29, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = torch.cat([run.begin(), run.embed(maps[:, :13], first=1, last=2)], 1)
    together = run.logits(run.advance(x, first=0, last=2))
    expected = reference.logits(reference.advance(x, first=0, last=2))
    run.truncate(0)
    parts = [run.logits(run.advance(part, first=k, last=k)) for k, part in enumerate(x.split([1, 4, 9], 1))]
    assert (together - expected).abs().max() < 1e-11
    assert (together - torch.cat(parts, 1)).abs().max() < 1e-11
    tail = run.embed(maps[:, 13:], first=3, last=3)
    rest = [r.logits(r.advance(tail, first=3, last=3)) for r in (run, reference)]
    assert (rest[0] - rest[1]).abs().max() < 1e-11


@torch.no_grad()
def test_advancing_fast_leaves_its_input_alone_and_refuses_a_wrong_scale() -> None:
    run = fast_loop(TINY, [1], [7]).run
    x = run.begin()
    before = x.clone()
    run.advance(x, first=0, last=0)
    assert torch.equal(x, before)
    with pytest.raises(ValueError, match="the cache holds 1"):
        run.advance(x, first=0, last=0)


@torch.no_grad()
def test_two_generations_of_one_engine_at_once_do_not_meet_and_results_stay() -> None:
    engine = replace(TINY, engine="fast").build(CPU).engine
    alone = [generate(replace(TINY, engine="fast"), batch([label], seed)).arrays["tokens"] for label, seed in ((1, 3), (4, 8))]
    both = [
        engine.start(torch.tensor([label]), torch.tensor([seed]), sampling=TINY.sampling) for label, seed in ((1, 3), (4, 8))
    ]
    for k in range(len(SIDES)):
        for loop in both:
            loop.full(k)
    made = [loop.finish() for loop in both]
    generate(replace(TINY, engine="fast"), batch([2], 0))
    assert all(torch.equal(a.tokens, b) for a, b in zip(made, alone, strict=True))


@torch.no_grad()
def test_a_loop_used_again_knows_nothing_of_the_generation_before() -> None:
    loop = fast_loop(TINY, [1, 2], [7, 8])
    for k in range(len(SIDES)):
        loop.full(k)
    first = loop.finish()
    sampling = replace(TINY, cfg=0.0, top_k=5).sampling
    loop.start(torch.tensor([3, -1]), torch.tensor([1, 1]), sampling)
    for k in range(2):
        loop.full(k)
    again, kept = loop.finish(), first.tokens.clone()
    fresh = generate(replace(TINY, engine="fast", cfg=0.0, top_k=5), batch([3, -1], 1))
    assert torch.equal(again.tokens[0, :5], fresh.arrays["tokens"][0, :5])
    assert (again.tokens[:, 5:] == -1).all()
    assert torch.equal(first.tokens, kept)


def test_loops_kept_for_reuse_serve_inside_and_outside_of_inference_mode_one_generation_each() -> None:
    runtime, of = replace(TINY, engine="fast").build(CPU), batch([1, 2], 7)
    engine = runtime.engine
    assert isinstance(engine, Fast)
    expected = generate(runtime, of)
    engine.reuse = True
    with torch.inference_mode():
        inside = generate(runtime, of)
    (kept,) = engine.free[2, False]
    outside = generate(runtime, of)
    assert engine.free[2, False] == [kept], "the loop was not used again"
    for made in (inside, outside):
        assert torch.equal(made.images, expected.images)
        assert torch.equal(made.arrays["f_hat"], expected.arrays["f_hat"])
    with torch.no_grad():
        first, second = (engine.start(torch.tensor([1, 2]), of.seeds, sampling=TINY.sampling) for _ in range(2))
    assert first is kept and second is not kept


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@torch.no_grad()
def test_every_token_that_fast_draws_otherwise_is_a_race_closer_than_the_logits_agree(dtype: str) -> None:
    config = replace(TINY, dtype=dtype, cfg=3.0, top_p=0.0)
    loop = fast_loop(config, [0, 1, 2, 3], [11, 12, 13, 14])
    found = agreement(loop.run, loop.condition, loop.seeds, sampling=config.sampling)
    assert found.tokens == 4 * 30
    assert all(difference.explained for difference in found.differences), found.differences
    assert found.relative_l2 < {"float32": 1e-5, "bfloat16": 2e-2}[dtype]


def test_the_list_of_differences_tells_a_close_race_from_a_wrong_token() -> None:
    raw, seeds = torch.randn(4, 50, 32, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 2])
    options = knobs(t=1.0, top_k=0, top_p=0.0, device=CPU)
    noisy = raw + 0.05 * torch.randn(raw.shape, generator=torch.Generator().manual_seed(1))
    right, near = (guided_race(x, seeds, options, start=0) for x in (raw, noisy))
    flips = compare(raw, noisy, right, near, seeds, options, start=0)
    assert flips and all(flip.explained and flip.gap > 0 for flip in flips)
    wrong = right.clone()
    wrong[1, 3] = (wrong[1, 3] + 1) % 32
    (found,) = compare(raw, raw, right, wrong, seeds, options, start=9)
    assert (found.sample, found.position, found.error) == (1, 12, 0.0)
    assert not found.explained
    assert not Difference(0, 0, 1, 2, gap=float("inf"), error=1.0).explained


@torch.no_grad()
def test_autocast_holds_what_the_official_code_holds() -> None:
    config = replace(TINY, engine="autocast", dtype="bfloat16")
    runtime = config.build(CPU)
    assert isinstance(runtime.engine, Autocast)
    assert runtime.var.head.weight.dtype == torch.float32
    loop = runtime.engine.start(torch.tensor([1]), torch.tensor([3]), sampling=config.sampling)
    for k in range(2):
        loop.full(k)
    cache = loop.run.kv
    assert isinstance(cache, GrowingCache)
    k_held, v_held = cache.held[1] or pytest.fail("the layer holds nothing")
    assert (k_held.dtype, v_held.dtype) == (torch.float32, torch.bfloat16)
    assert k_held.shape == v_held.shape == (2, 2, 5, 64)
    assert loop.canvas.f_hat.dtype == torch.float32
    loop.run.truncate(1)
    assert cache.length == 1


@torch.no_grad()
def test_autocast_computes_the_logits_of_half_weights_up_to_rounding() -> None:
    config = replace(TINY, dtype="bfloat16")
    built = TINY.build(CPU)
    exact = GuidedRun(VarModel(built.var, built.vae), torch.tensor([1, 2]))
    loop = (
        replace(config, engine="autocast")
        .build(CPU)
        .engine.start(torch.tensor([1, 2]), torch.tensor([3, 4]), sampling=config.sampling)
    )
    assert hasattr(loop, "run")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = loop.run.logits(loop.run.advance(loop.run.begin(), first=0, last=0))
    logits = exact.logits(exact.advance(exact.begin(), first=0, last=0))
    assert 0 < (rounded - logits).norm() / logits.norm() < 2e-2


def test_the_engine_is_part_of_what_decides_the_numbers_but_eager_keeps_its_old_name() -> None:
    assert "engine" not in TINY.identity()
    assert replace(TINY, engine="fast").identity()["engine"] == "fast"


def test_the_price_counts_the_operators_that_an_engine_launches() -> None:
    calls = {name: replace(TINY, engine=name, dtype="bfloat16").cost().calls for name in ENGINES}
    run = fast_loop(replace(TINY, dtype="bfloat16"), [1], [2]).run
    with torch.no_grad():
        launched = operator_calls(lambda: run.raw_logits(run.compute(run.begin(), first=0, last=0)))
    assert calls["fast"] == pytest.approx(launched, rel=0.15)  # attention falls into other pieces on the meta device
    assert calls["fast"] < min(calls["eager"], calls["autocast"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "warp"}, "engine=warp is unknown; choose one of eager, autocast, fast"),
        ({"engine": "autocast"}, "dtype=float32 is none; set generator.dtype=float16 or bfloat16"),
    ],
)
def test_impossible_engines_are_bad_input(change: dict[str, str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replace(TINY, **change).check([1])  # type: ignore[arg-type]


def test_a_study_may_vary_the_engine(tmp_path: Path) -> None:
    arms = "+study.arms={baseline: {strategy: original}, fast: {strategy: original, generator.engine: fast}}"
    small = ["generator=var_tiny", "generator.patch_nums=[1,2,3,4]", "generator.image_size=64", "generator.dtype=float64"]
    plan = frame.compose.plan([*small, arms, "data.limit=1", "study.timing.repeats=0", f"output={tmp_path}"], conf=frame.CONF)
    record = frame.runner.run(plan, console=frame.Console(quiet=True))
    assert record is not None
    paired = record.arms["fast"].paired
    assert paired and paired.identical == 1


def test_the_decoder_that_suits_a_gpu_holds_the_same_weights_and_makes_the_same_picture() -> None:
    vae = replace(TINY, dtype="float64").build(torch.device("cpu")).vae
    f_hat = torch.randn(2, vae.Cvae, 4, 4, dtype=torch.float64)
    other = suited(vae.decoder)
    shared = {p.data_ptr() for p in vae.decoder.parameters()}
    assert sum(p.data_ptr() in shared for p in other.parameters()) == len(shared) - 2, "all but the padded convolution's"
    assert isinstance(vae.decoder.norm_out, torch.nn.GroupNorm), "the reference keeps its own modules"
    with torch.no_grad():
        assert (vae.decode(f_hat, decoder=other) - vae.decode(f_hat)).abs().max() < 1e-12
        compiled = torch.compile(lambda x: vae.decode(x, decoder=other), dynamic=False, fullgraph=True, backend="eager")
        assert torch.equal(compiled(f_hat), vae.decode(f_hat, decoder=other))


@pytest.mark.parametrize("side", [1, 2, 3, 13])
def test_enlarging_by_products_is_bicubic(side: int) -> None:
    features = torch.randn(2, 3, side, side, dtype=torch.float64)
    matrix = bicubic(side, like=features.new_zeros(1, 1, 16, 16))
    assert (matrix @ features @ matrix.T - enlarge(features, 16)).abs().max() < 1e-14
