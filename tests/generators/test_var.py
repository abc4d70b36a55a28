"""Laws of the VAR reference on small real models."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch.utils.flop_counter import FlopCounterMode

from sdaccel.conditions import Batch, batches
from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.loop import sample
from sdaccel.generators.nextscale.run import GuidedRun
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.tokens import PhiloxRace
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.generators.var.model import PATCH_NUMS, VAR, Geometry
from sdaccel.generators.var.sampler import VarModel
from sdaccel.strategies.plain import Original
from tests.conformance.upstream import painted

CONF = Path(__file__).parents[2] / "conf"
CPU = torch.device("cpu")
TINY = Var(
    depth=2,
    num_classes=5,
    vocab=32,
    Cvae=4,
    ch=32,
    image_size=64,
    patch_nums=[1, 2, 3, 4],
    init_unit_scale=True,
    top_k=0,
)
WIDE = replace(TINY, cfg=2.0, top_p=0.0).sampling
SIZES = {16: 310_283_520, 20: 600_917_136, 24: 1_033_399_360, 30: 2_010_020_356, 36: 2_353_893_904}


@pytest.fixture(scope="module")
def runtime() -> VarRuntime:
    return TINY.build(CPU)


@pytest.fixture(scope="module", params=[False, True], ids=["own_adaln", "shared_adaln"])
def double(request: pytest.FixtureRequest) -> VarRuntime:
    return replace(TINY, dtype="float64", shared_aln=request.param).build(CPU)


def model(runtime: VarRuntime) -> VarModel:
    return VarModel(runtime.var, runtime.vae)


def draw(runtime: VarRuntime, labels: list[int], seeds: list[int]) -> torch.Tensor:
    noise = PhiloxRace(torch.tensor(seeds))
    return sample(model(runtime), torch.tensor(labels), noise=noise, sampling=WIDE).tokens


def raw_logits(runtime: VarRuntime, labels: list[int], seeds: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (B, L) and unguided logits (2B, L, V) of the cached loop."""
    seen: list[torch.Tensor] = []
    made = sample(
        model(runtime),
        torch.tensor(labels),
        noise=PhiloxRace(torch.tensor(seeds)),
        sampling=WIDE,
        record=lambda name, value: seen.append(value) if name == "logits_raw_2B" else None,
    )
    return made.tokens, torch.cat(seen, 1)


def test_cached_loop_equals_teacher_forcing_on_its_own_tokens(double: VarRuntime) -> None:
    tokens, cached = raw_logits(double, [1, 4], [3, 9])
    _, maps = painted(double.vae, tokens, TINY.layout)
    forced = double.var(torch.tensor([1, 4, 5, 5]), maps.repeat(2, 1, 1))
    assert cached.dtype == torch.float64
    assert (cached - forced).abs().max() < 1e-11


def test_prefill_of_several_scales_equals_one_scale_at_a_time(double: VarRuntime) -> None:
    labels = torch.tensor([0, 2])
    tokens, stepwise = raw_logits(double, labels.tolist(), [1, 2])
    _, maps = painted(double.vae, tokens, TINY.layout)
    run = GuidedRun(model(double), labels)
    x = torch.cat([run.begin(), run.embed(maps[:, :13], first=1, last=2)], 1)
    head = run.logits(run.advance(x, first=0, last=2))
    tail = run.logits(run.advance(run.embed(maps[:, 13:], first=3, last=3), first=3, last=3))
    assert (torch.cat([head, tail], 1) - stepwise).abs().max() < 1e-11


def test_truncating_and_redoing_a_scale_changes_no_bit(runtime: VarRuntime) -> None:
    maps = torch.randn(2, 29, 4, generator=torch.Generator().manual_seed(0))
    run = GuidedRun(model(runtime), torch.tensor([1, 2]))
    run.advance(run.begin(), first=0, last=0)
    run.advance(run.embed(maps[:, :4], first=1, last=1), first=1, last=1)
    x = run.embed(maps[:, 4:13], first=2, last=2)
    once = run.advance(x, first=2, last=2)
    run.truncate(1)
    run.advance(run.embed(-maps[:, :4], first=1, last=1), first=1, last=1)  # a draft that is then rejected
    assert not torch.equal(run.advance(x, first=2, last=2), once)
    run.truncate(1)
    run.advance(run.embed(maps[:, :4], first=1, last=1), first=1, last=1)
    assert torch.equal(run.advance(x, first=2, last=2), once)


def test_advancing_at_the_wrong_length_is_refused_because_positions_would_shift(runtime: VarRuntime) -> None:
    run = GuidedRun(model(runtime), torch.tensor([1]))
    with pytest.raises(ValueError, match="the cache holds 0"):
        run.advance(run.begin(), first=1, last=1)


def test_same_seeds_give_the_same_image_and_other_seeds_another(runtime: VarRuntime) -> None:
    batch = Batch((1, 3), torch.tensor([5, 6]), {0: 0, 1: 1})
    first, again = (runtime.generate(batch, backend=None, strategy=None, keep=["tokens", "f_hat"]) for _ in range(2))
    other = runtime.generate(replace(batch, seeds=torch.tensor([5, 7])), backend=None, strategy=Original(), keep=["tokens"])
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.images[0], other.images[0])
    assert not torch.equal(first.arrays["tokens"][1], other.arrays["tokens"][1])
    assert first.images.shape == (2, 3, 64, 64)
    assert first.arrays["f_hat"].shape == (2, 4, 4, 4, 4)
    assert first.kinds == ["full"] * 4


def test_a_row_does_not_see_what_fills_the_other_rows(runtime: VarRuntime) -> None:
    whole, padded = batches([1, 2, 3], seed=4, size=3)[0], batches([1, 2, 3], seed=4, size=3, done=[0, 2])[0]
    a, b = (runtime.generate(batch, backend=None, strategy=None) for batch in (whole, padded))
    assert torch.equal(a.images[1], b.images[1])
    assert not torch.equal(a.images[0], b.images[0])


def test_a_sample_draws_the_same_tokens_in_another_batch_shape(double: VarRuntime) -> None:
    assert torch.equal(draw(double, [1, 2, 3], [7, 8, 9])[1:2], draw(double, [2], [8]))


def test_label_and_guidance_reach_the_tokens(runtime: VarRuntime) -> None:
    assert not torch.equal(draw(runtime, [1], [7]), draw(runtime, [2], [7]))
    assert torch.equal(draw(runtime, [-1], [7]), draw(runtime, [5], [7]))


def test_generation_leaves_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    TINY.build(CPU).generate(batches([1], seed=0, size=1)[0], backend=None, strategy=None)
    assert torch.equal(torch.get_rng_state(), before)


def test_random_weights_depend_on_init_seed_only() -> None:
    a, b, c = (replace(TINY, init_seed=seed).build(CPU).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["var.head.weight"], c["var.head.weight"])


def test_random_weights_follow_the_published_deviations() -> None:
    model = replace(TINY, depth=3, init_unit_scale=False).build(CPU).var
    std = (3 * 192) ** -0.5
    rows = model.state_dict()["blocks.0.ada_lin.1.weight"]
    for value, wanted in (
        (model.head.weight, 0.02 * std),
        (model.state_dict()["blocks.1.attn.proj.weight"], std / 6**0.5),
        (rows[: 2 * 192], 1e-5 * std),
        (rows[2 * 192 :], 0.5 * std),
        (model.class_emb.weight, std),
    ):
        assert value.std().item() == pytest.approx(wanted, rel=0.05)


@torch.no_grad()
def test_code_maps_survive_painting_and_encoding_again(runtime: VarRuntime) -> None:
    """encode -> tokens -> f_hat: painting the tokens gives the encoder's own f_hat, and the residual shrinks."""
    image = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    f = runtime.vae.encode(image)
    idx, encoded = runtime.vae.tokenize(f, TINY.layout)
    canvas, maps = painted(runtime.vae, idx, TINY.layout)
    assert torch.equal(canvas.f_hat, encoded.f_hat)
    assert maps.shape == (2, 29, 4)
    again, _ = runtime.vae.tokenize(canvas.f_hat, TINY.layout)
    assert again.shape == idx.shape
    assert torch.equal(runtime.vae.decode(canvas.f_hat), runtime.vae.decode(encoded.f_hat))


@torch.no_grad()
def test_quantiser_picks_the_nearest_code(runtime: VarRuntime) -> None:
    weight = runtime.vae.quantize.embedding.weight
    assert torch.equal(runtime.vae.quantize.nearest(weight[None]), torch.arange(32)[None])


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_keeps_canvas_and_image_in_float32(dtype: str) -> None:
    model = replace(TINY, dtype=dtype, more_smooth=True).build(CPU)
    made = model.generate(batches([1], seed=0, size=1)[0], backend=None, strategy=None, keep=["f_hat"])
    assert made.images.dtype == made.arrays["f_hat"].dtype == torch.float32
    assert made.images.isfinite().all()
    assert model.var.head.weight.dtype == getattr(torch, dtype)


def test_smoothing_changes_the_canvas_but_not_the_first_token(runtime: VarRuntime) -> None:
    batch = batches([1], seed=0, size=1)[0]
    smooth = VarRuntime(replace(TINY, more_smooth=True), runtime.var, runtime.vae)
    a, b = (r.generate(batch, backend=None, strategy=None, keep=["tokens"]) for r in (runtime, smooth))
    assert torch.equal(a.arrays["tokens"][:, 0], b.arrays["tokens"][:, 0])
    assert not torch.equal(a.images, b.images)


def test_512_px_layout_runs_end_to_end() -> None:
    config = replace(TINY, depth=1, shared_aln=True, image_size=512, patch_nums=None)
    made = config.build(CPU).generate(batches([1], seed=0, size=1)[0], backend=None, strategy=None, keep=["tokens"])
    assert made.images.shape == (1, 3, 512, 512)
    assert made.arrays["tokens"].shape == (1, 2240)


@pytest.mark.parametrize("depth", SIZES)
def test_official_sizes_have_the_published_parameter_count(depth: int) -> None:
    layout = PATCH_NUMS[512 if depth == 36 else 256]
    with torch.device("meta"):
        model = VAR(Geometry(depth=depth, patch_nums=layout, shared_aln=depth == 36))
    assert sum(p.numel() for p in model.parameters()) == SIZES[depth]


def test_official_vqvae_has_the_published_parameter_count() -> None:
    with torch.device("meta"):
        model = VQVAE()
    assert sum(p.numel() for p in model.parameters()) == 108_948_355


@pytest.mark.parametrize("shared_aln", [False, True])
def test_analytic_macs_equal_what_the_loop_computes(shared_aln: bool) -> None:
    config = replace(TINY, shared_aln=shared_aln)
    model = config.build(torch.device("meta"))  # the counter knows the attention kernel of this device
    with FlopCounterMode(display=False) as counter:
        model.generate(batches([1], seed=0, size=1)[0], backend=None, strategy=None)
    cost = config.cost()
    assert sum(cost.macs) + cost.decode_macs == counter.get_total_flops() / 2


def test_d30_costs_what_the_paper_says() -> None:
    macs = Var(depth=30).cost().macs
    assert 2 * sum(macs) / 1e12 == pytest.approx(3.79, rel=0.01)
    assert [100 * m / sum(macs) for m in macs] == pytest.approx([0.2, 0.6, 1.3, 2.3, 3.6, 5.2, 9.2, 14.5, 24.8, 38.3], abs=0.2)


def test_importing_the_generator_loads_no_heavy_library() -> None:
    code = "import sys, sdaccel.generators.var.generator; print(*{m.split('.')[0] for m in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"diffusers", "transformers", "lightning", "pytorch_lightning", "torchvision", "wandb"} & set(loaded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"top_k": 33}, "top_k=33 is outside 0 .. 32"),
        ({"top_k": -1}, "top_k=-1"),
        ({"top_p": 1.5}, "top_p=1.5"),
        ({"cfg": float("nan")}, "cfg=nan"),
        ({"cfg": -1.0}, "cfg=-1.0"),
        ({"dtype": "int8"}, "dtype=int8"),
        ({"ch": 48}, "ch=48"),
        ({"depth": 0}, "depth=0"),
        ({"patch_nums": [1]}, "patch_nums"),
        ({"image_size": 128}, "set image_size=64"),
        ({"patch_nums": None}, "no official scales"),
    ],
)
def test_impossible_options_are_bad_input(change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        replace(TINY, **change).check([1])  # type: ignore[arg-type]


@pytest.mark.parametrize("label", [5, -2, "a cat"])
def test_labels_outside_the_classes_are_bad_input(label: int | str) -> None:
    TINY.check([0, 4, -1])
    with pytest.raises(BadInput, match=r"0 \.\. 4"):
        TINY.check([0, label])


@pytest.mark.parametrize("path", sorted((CONF / "generator").glob("var_[dt]*.yaml")), ids=lambda path: path.stem)
def test_every_var_config_composes_and_passes_its_own_check(path: Path) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = instantiate(compose(f"generator/{path.stem}").generator)
    config.check([0])
    assert config.steps == len(config.scales)
