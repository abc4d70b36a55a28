"""Laws of HART as a generator, on small real models."""

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.generators.hart import cost
from sdaccel.generators.hart.context import Context
from sdaccel.generators.hart.diffusion import Chain
from sdaccel.generators.hart.engine import HalfCache
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.hart.reconstruction import HartReconstruction
from sdaccel.generators.hart.sampler import HartModel, HartRace
from sdaccel.generators.nextscale.run import GuidedRun
from tests.conftest import CONF
from tests.generators.hart.tiny import CPU, DOUBLE, PROMPTS, SEEDS, TINY, batch, built, generate, same, told
from tests.generators.nextscale.test_sublayers import Answers

K = TINY.steps
LAST = TINY.layout.tokens(K - 1)


def model(config: Hart, *, steps: int = 8) -> HartModel:
    runtime = built(config)
    return HartModel(runtime.hart, runtime.vae, chain=Chain.of(steps))


def loop(config: Hart = DOUBLE, *, scales: int = K) -> Any:
    """A generation with so many scales done."""
    made: Any = built(config).start(told(config), SEEDS)
    for k in range(scales):
        made.full(k)
    return made


def test_a_picture_follows_from_prompt_and_seed_and_from_nothing_that_was_made_before() -> None:
    first, again, fresh = generate(TINY), generate(TINY), TINY.build(CPU)
    assert first.images.shape == (3, 3, TINY.height, TINY.width) == (3, 3, 4, 4) and first.arrays["f_hat"].shape == (
        3,
        K,
        4,
        4,
        4,
    )
    assert same(first, again)
    assert same(first, fresh.generate(batch(), backend=None, strategy=None, keep=["tokens", "f_hat"]))
    for other in (batch(["a dog", *PROMPTS[1:]]), batch(seeds=torch.tensor([1, 8, 9]))):
        changed = generate(TINY, other)
        assert not torch.equal(changed.arrays["tokens"][0], first.arrays["tokens"][0])
        assert torch.equal(changed.images[1:], first.images[1:]), "a row sees what fills another one"


def test_a_sample_is_the_same_in_another_batch_shape_residual_included() -> None:
    whole, alone = generate(DOUBLE), generate(DOUBLE, batch(PROMPTS[1:2], SEEDS[1:2]))
    assert torch.equal(whole.arrays["tokens"][1:2], alone.arrays["tokens"])
    assert (whole.arrays["f_hat"][1:2] - alone.arrays["f_hat"]).abs().max() < 1e-9


@pytest.mark.parametrize("smooth", [False, True])
def test_the_residual_changes_the_last_scale_alone(smooth: bool) -> None:
    config = replace(TINY, more_smooth=smooth)
    whole, codes = generate(config), generate(replace(config, residual=False))
    assert torch.equal(whole.arrays["tokens"], codes.arrays["tokens"])
    assert torch.equal(whole.arrays["f_hat"][:, :-1], codes.arrays["f_hat"][:, :-1])
    share = (whole.arrays["f_hat"] - codes.arrays["f_hat"])[:, -1]
    assert share.abs().mean() > 0.05 and share.abs().max() <= 0.6 + 1e-5, "the head's range is 0.6 of a code"
    assert not torch.equal(whole.images, codes.images)


def test_the_heads_noise_is_a_samples_own_and_as_long_as_it_is_asked_for() -> None:
    race, shape = HartRace(SEEDS), (LAST, 4)
    for step in range(9):
        noise = race.head(step, *shape)
        assert torch.equal(HartRace(SEEDS[1:2]).head(step, *shape), noise[1:2])
        assert torch.equal(race.of([2, 0]).head(step, *shape), noise[[2, 0]])
    steps = torch.stack([race.head(step, *shape) for step in range(9)])
    assert len(steps.flatten().unique()) == steps.numel(), "two steps share a number"


def test_chains_of_any_length_begin_with_the_same_noise() -> None:
    z, seen = torch.randn(6, LAST, 32, generator=torch.Generator().manual_seed(0)), dict[int, dict[str, Tensor]]()
    for steps in (8, 4, 2):
        seen[steps] = {}
        made = model(TINY, steps=steps).residual(z, t=1.5, noise=HartRace(SEEDS), trace=seen[steps].__setitem__)
        assert made.shape == (3, LAST, 4) and made.abs().max() <= 0.6
    assert torch.equal(seen[8]["step0_x"], seen[4]["step0_x"]) and torch.equal(seen[8]["step0_x"], seen[2]["step0_x"])
    assert not torch.equal(seen[8]["step1_x"], seen[4]["step1_x"])
    pictures = [generate(replace(TINY, head_steps=steps)) for steps in (8, 4, 2)]
    assert all(torch.equal(made.arrays["tokens"], pictures[0].arrays["tokens"]) for made in pictures)
    assert len({float(made.images.sum()) for made in pictures}) == 3


@torch.no_grad()
def test_prefill_of_several_scales_equals_one_scale_at_a_time() -> None:
    done, again = loop(), loop(scales=0)
    each = torch.cat([again.guided(done.canvas.inputs_of(k, k), first=k, last=k).logits for k in range(K)], 1)
    for first in range(K):
        said = done.guided(done.canvas.inputs_of(first, K - 1), first=first, last=K - 1)
        assert (said.logits - each[:, TINY.layout.token_start(first) :]).abs().max() < 1e-11


@torch.no_grad()
def test_text_rows_see_each_other_in_both_directions_also_within_a_prefill() -> None:
    context, maps = told(DOUBLE), torch.randn(3, 4, 4, dtype=torch.float64)
    other = Context(context.hidden.clone(), context.positions)
    other.hidden[:, -1] += 1
    outs = []
    for said in (context, other):
        run = GuidedRun(model(DOUBLE), said)
        outs.append(run.advance(run.inputs(maps, first=0, last=1), first=0, last=1))
    differ = (outs[0] - outs[1]).abs().amax(-1) > 1e-9
    assert differ[:3].all(), "a row of the first block does not see the last word"
    assert not differ[3:].any(), "the unguided half was told something"


@torch.no_grad()
def test_the_picture_begins_behind_the_prompt_not_behind_its_padding() -> None:
    context = told(DOUBLE)
    other = Context(context.hidden, context.positions.clamp_max(2))
    own, moved = (model(DOUBLE).prepare(said).at for said in (context, other))
    image = TINY.layout.row_start(1)
    assert not torch.allclose(own.cos[:3, :, image:], moved.cos[:3, :, image:])
    assert torch.equal(own.cos[3:], moved.cos[3:]), "the unguided half stands at position 0"


@torch.no_grad()
def test_a_reused_attention_leaves_the_keys_and_values_that_computing_it_would_have_left() -> None:
    plain, kept = loop(scales=3), loop(scales=2)
    kept.full(2, sublayers=Answers({(0, "attn"): "keep"}))
    own, theirs, until = kept.run.kv, plain.run.kv, TINY.layout.row_start(3)
    assert own.length == theirs.length == until
    for a, b in ((own.keys, theirs.keys), (own.values, theirs.values)):
        assert (a[0, :, :, :until] - b[0, :, :, :until]).abs().max() < 1e-12
        assert not torch.equal(a[1, :, :, :until], b[1, :, :, :until]), "what lies behind it reads another input"


@torch.no_grad()
def test_autocast_holds_keys_in_half_and_draws_near_what_full_precision_says() -> None:
    config = replace(TINY, engine="autocast", dtype="bfloat16")
    made = loop(config, scales=2)
    assert built(config).hart.head.weight.dtype == torch.float32
    cache = cast(HalfCache, made.run.kv)
    assert all(held is not None and {part.dtype for part in held} == {torch.bfloat16} for held in cache.held)
    assert made.canvas.f_hat.dtype == torch.float32
    exact = loop(TINY, scales=0).guided(None, first=0, last=0).logits
    rounded = loop(config, scales=0).guided(None, first=0, last=0).logits
    assert 0 < (rounded - exact).norm() / exact.norm() < 3e-2
    images = generate(config).images
    assert images.dtype == torch.float32 and images.isfinite().all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_keeps_the_canvas_in_float32(dtype: str) -> None:
    made = generate(replace(TINY, dtype=dtype))
    assert made.arrays["f_hat"].dtype == made.images.dtype == torch.float32 and made.images.isfinite().all()


def test_options_beside_the_weights_need_no_second_copy_of_them() -> None:
    own = built(TINY)
    changes: tuple[dict[str, Any], ...] = ({"cfg": 1.0}, {"residual": False}, {"head_steps": 3}, {"more_smooth": True})
    for change in changes:
        config = replace(TINY, **change)
        shared = config.sharing(TINY, own)
        assert shared is not None and shared.hart is own.hart
        assert same(shared.generate(batch(), backend=None, strategy=None, keep=["tokens", "f_hat"]), generate(config))
    assert replace(TINY, init_seed=1).sharing(TINY, own) is None
    assert replace(TINY, dtype="float64").sharing(TINY, own) is None


@pytest.mark.parametrize("change", [{"image_size": 8, "ch_mult": [1, 1]}, {"residual": False}, {"cfg": 1.5, "head_steps": 3}])
def test_analytic_macs_equal_what_the_loop_computes(change: dict[str, Any]) -> None:
    """cfg 1.5 makes a guidance of exactly 1 at the last of four scales, where the head computes one row."""
    config = replace(TINY, **change)
    runtime = config.build(torch.device("meta"))
    with FlopCounterMode(display=False) as counter:
        runtime.generate(batches(["x"], seed=0, size=1)[0], backend=None, strategy=None)
    priced = config.cost()
    assert sum(priced.macs) + priced.decode_macs == counter.get_total_flops() / 2
    layers = sum(priced.layers * (one.attn + one.ffn) for one in priced.sublayers)
    assert 0.1 < layers / sum(priced.macs) < 1


def test_the_price_of_a_sublayer_is_what_reusing_it_saves() -> None:
    config = replace(TINY, residual=False, patch_nums=[1, 2, 4])
    runtime, one = config.build(torch.device("meta")), config.cost().sublayers[1]
    counted = []
    for reused in ({}, {(1, "attn"): "keep"}, {(1, "ffn"): "keep"}):
        made = runtime.start(told(TINY, ["x"]), torch.zeros(1, dtype=torch.int64, device="meta"))
        with torch.inference_mode():
            made.full(0)
            with FlopCounterMode(display=False) as counter:
                made.full(1, sublayers=Answers(reused))  # type: ignore[arg-type]
        counted.append(counter.get_total_flops() / 2)
    assert [counted[0] - less for less in counted[1:]] == [one.attn - one.keys_values, one.ffn]


def test_the_published_size_costs_what_the_brief_says() -> None:
    g, scales = Hart().geometry, range(14)
    linear = sum(g.depth * g.layout.rows(k) * (4 * g.embed_dim**2 + 3 * g.embed_dim * g.hidden) for k in scales)
    assert linear / 1e12 == pytest.approx(6.62, abs=0.01)
    blocks = sum(g.depth * (one.attn + one.ffn) for one in (cost.sublayer_macs(g, k) for k in scales)) / cost.ROWS
    assert (blocks - linear) / 1e12 == pytest.approx(4.41, abs=0.01)
    assert sum(cost.scale_macs(g, k) for k in scales) / cost.ROWS / 1e12 == pytest.approx(11.10, abs=0.01)
    # The brief's 2.4 embeds the time anew for every token.
    assert cost.head_macs(g, steps=8) / 1e12 == pytest.approx(2.31, abs=0.01)
    whole = replace(Hart(), dtype="float16").cost()
    cache = 2 * 24 * 2 * 9750 * 1536 * 2
    assert cache == pytest.approx(2.88e9, rel=0.01) and whole.state_bytes > cache
    assert len(whole.macs) == len(whole.sublayers) == 14 and whole.macs[-1] - cost.head_macs(g, steps=8) == cost.scale_macs(
        g, 13
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 3}, "heads=3 does not divide generator.embed_dim=32"),
        ({"heads": 16}, "make heads of 2, and positions need a multiple of 4"),
        ({"head_steps": 0}, r"head_steps=0 is outside 1 \.\. 1000"),
        ({"head_steps": 1001}, r"head_steps=1001 is outside 1 \.\. 1000"),
        ({"cfg": float("inf")}, "cfg=inf"),
        ({"dtype": "int8"}, "dtype=int8"),
        ({"engine": "fast"}, "engine=fast is unknown; choose one of eager, autocast"),
        ({"engine": "autocast"}, "dtype=float32 is none; set generator.dtype=float16 or bfloat16"),
        ({"context_tokens": 0}, "context_tokens=0 must be at least 1"),
        ({"hidden": 0}, "hidden=0"),
        ({"ch": 48}, "ch=48"),
        ({"patch_nums": [1]}, "patch_nums"),
        ({"image_size": 8}, "set image_size=4"),
        ({"vae_weights": "x"}, "generator.vae_weights is given and generator.weights is not"),
        ({"weights": "x"}, "generator.text_weights is not"),
    ],
)
def test_impossible_options_are_bad_input(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replace(TINY, **change).check(PROMPTS)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["hart_0.7b", "hart_tiny", "hart_tiny_draft"])
def test_every_configuration_composes_and_passes_its_own_check(name: str) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = instantiate(compose(f"generator/{name}").generator)
    config.check(PROMPTS)
    assert config.steps == len(config.cost().macs)


def test_real_pictures_pass_the_tokenizer_with_and_without_what_its_codes_leave_out(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    sizes: dict[str, Any] = {"vocab": 64, "Cvae": 4, "ch": 32, "ch_mult": [1], "image_size": 4, "patch_nums": [1, 2, 3, 4]}
    save_file(built(TINY).vae.state_dict(), tmp_path / "vae.safetensors")
    caption = "a small red dotted circle left of a medium blue flat star on a grey plain background"
    whole = HartReconstruction(**sizes, vae_weights=str(tmp_path / "vae.safetensors"))

    def made(config: HartReconstruction) -> Tensor:
        return config.build(CPU).generate(batch([caption], SEEDS[:1]), backend=None, strategy=None).images

    whole.check([caption])
    vae, codes = built(TINY).vae, replace(whole, residual=False)
    f = vae.encode(torch.zeros(1, 3, 4, 4))
    assert torch.equal(whole.shown(torch.full((1, 3, 4, 4), 0.5), vae), (vae.decode(f) + 1) / 2)
    assert made(whole).shape == (1, 3, 4, 4) and not torch.equal(made(whole), made(codes))
    with pytest.raises(BadInput, match="vae_weights"):
        replace(whole, vocab=32).check([caption])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("options", [{}, {"dtype": "float16"}, {"dtype": "float16", "engine": "autocast"}], ids=str)
def test_no_scale_waits_for_the_gpu(options: dict[str, str]) -> None:
    config = replace(TINY, **options)  # type: ignore[arg-type]
    runtime = config.build(torch.device("cuda"))
    for last in range(2):  # the first one loads kernels
        made = runtime.start(told(TINY), SEEDS.cuda())
        torch.cuda.set_sync_debug_mode("error" if last else "default")
        try:
            with torch.no_grad():
                for k in range(K):
                    made.full(k)
        finally:
            torch.cuda.set_sync_debug_mode("default")
