"""Training tasks of hart_mini at toy size: the hybrid tokenizer, teacher forcing in phases, the residual head."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from sdaccel import world
from sdaccel.cli.zoo import Model, Zoo
from sdaccel.errors import BadInput
from sdaccel.generators.hart.context import Context
from sdaccel.generators.hart.diffusion import Chain, denoised
from sdaccel.generators.hart.model import HART, Geometry
from sdaccel.generators.hart.sampler import RESIDUAL_SCALE, HartModel
from sdaccel.generators.nextscale.run import GuidedRun
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE, inputs
from sdaccel.generators.text import TextTower
from sdaccel.zoo import contrastive
from sdaccel.zoo.denoising import variance_bound
from sdaccel.zoo.hart import HartTask, mini, network
from sdaccel.zoo.hart_head import PARTS, HeadTask
from sdaccel.zoo.hart_lesson import Phase, chosen_tokens, hidden_states, lesson, tokens_of
from sdaccel.zoo.hart_quality import told
from sdaccel.zoo.hybrid_tokenizer import VOCAB, WITHIN, HybridTokenizerTask, continuous, hybrid_network, merged, rescale
from sdaccel.zoo.tokenizer import pictures
from sdaccel.zoo.training import Recipe, fit
from tests.conftest import CONF
from tests.zoo.stopped import ends_in_the_same_weights

SIDES = (1, 2, 3, 4)
"""16 px."""
CPU = torch.device("cpu")
PHASES = (
    {"steps": 3, "batch": 4, "scales": 2},
    {"steps": 3, "batch": 4, "scales": 4, "tokens": 5},
    {"steps": 2, "batch": 2, "scales": 4},
)
RECIPE = Recipe(steps=8, batch=4, lr=3e-3, warmup=1, log_every=1, bf16=False, ema=0.5)


def toy_tokenizer() -> VQVAE:
    return hybrid_network(scales=len(SIDES)).requires_grad_(False)


def toy_geometry() -> Geometry:
    return mini(depth=2, embed_dim=32, heads=2, hidden=48, patch_nums=SIDES, head_width=32, head_depth=1)


def toy(**options: Any) -> HartTask:
    text = TextTower(contrastive.network()).requires_grad_(False)
    fixed: dict[str, Any] = {"phases": PHASES, "text": text, "tokenizer": toy_tokenizer(), "geometry": toy_geometry()}
    return HartTask(**(fixed | {"pool": 8, "reuse": 2} | options))


def toy_head(whole: HART) -> HeadTask:
    text = TextTower(contrastive.network()).requires_grad_(False)
    return HeadTask(whole=whole, text=text, tokenizer=toy_tokenizer(), geometry=toy_geometry(), pool=4, reuse=2)


@torch.no_grad()
def test_larger_latents_are_the_same_autoencoder() -> None:
    task = HybridTokenizerTask(patch_nums=SIDES)
    net, images = task.net, pictures("test", torch.arange(4), "captioned", 16)
    for phi in net.quantize.quant_resi.qresi_ls:
        nn.init.normal_(phi.get_parameter("bias"))
    before = net.tokenize(net.encode(images), task.layout)[0], net.roundtrip(images, task.layout), continuous(net, images)
    rescale(net, 3.0)
    after = net.tokenize(net.encode(images), task.layout)[0], net.roundtrip(images, task.layout), continuous(net, images)
    assert torch.equal(before[0], after[0])
    torch.testing.assert_close(before[1:], after[1:], rtol=0, atol=2e-5)
    assert not torch.equal(before[1], before[2])


def test_merged_codes_are_the_means_of_what_they_stand_for() -> None:
    codes = torch.tensor([[0.0], [1.0], [5.0], [20.0]])
    assert merged(codes, 2).flatten().tolist() == [20.0, 2.0]  # (0 + 1 + 5) / 3, not the mean of 0.5 and 5
    assert torch.equal(merged(codes, 4), codes)


def test_a_finished_tokenizer_has_residuals_that_the_head_can_say() -> None:
    task = HybridTokenizerTask(patch_nums=SIDES)
    task.finish(task.net, CPU)
    assert len(task.net.quantize.embedding.weight) == VOCAB
    assert task.reach(task.net, CPU) == pytest.approx(RESIDUAL_SCALE, rel=1e-3)
    assert task.measure(task.net, CPU)["residual/within"] == pytest.approx(WITHIN, abs=0.02)


def test_half_of_a_batch_is_decoded_from_its_codes_and_half_from_f() -> None:
    task = HybridTokenizerTask(patch_nums=SIDES)
    f, f_hat = torch.zeros(4, 1), torch.ones(4, 1)
    assert task.shown(f, f_hat).flatten().tolist() == [1, 1, 0, 0]


@torch.no_grad()
def test_teacher_forcing_says_what_the_sampler_says() -> None:
    task, scenes = toy(), world.captioned("train", torch.arange(3))
    for p in task.net.parameters():
        p.copy_(torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())) * 0.3)
    tokens, canvas, _ = task.tokens(scenes)
    context, layout = told(task.text, scenes), task.layout
    whole = chosen_tokens(layout, Phase(1, 1, layout.scales), torch.Generator())
    batch = lesson(
        tokens,
        inputs(canvas),
        whole,
        text=context.hidden,
        positions=context.positions,
        layout=layout,
        head_dim=task.geometry.head_dim,
    )
    hidden, modulation = hidden_states(task.net, batch)
    run = GuidedRun(HartModel(task.net, task.tokenizer, chain=None), Context(context.hidden, context.positions))
    said = run.advance(run.inputs(inputs(canvas), first=0, last=layout.scales - 1), first=0, last=layout.scales - 1)
    torch.testing.assert_close(hidden, said[:3], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(task.net.logits(hidden, modulation), run.logits(said)[:3], rtol=1e-4, atol=1e-4)


def test_a_phase_learns_some_tokens_of_long_scales_and_all_of_short_ones() -> None:
    layout, generator = toy_geometry().layout, torch.Generator().manual_seed(0)
    chosen = chosen_tokens(layout, Phase(1, 1, 4, tokens=5), generator)
    assert [len(some) for some in chosen] == [1, 4, 5, 5]
    assert all(torch.equal(some, some.unique()) for some in chosen)
    assert not torch.equal(chosen[3], chosen_tokens(layout, Phase(1, 1, 4, tokens=5), generator)[3])
    assert [len(some) for some in chosen_tokens(layout, Phase(1, 1, 3), generator)] == [1, 4, 9]


def test_the_residual_is_that_of_the_chosen_tokens_and_its_loss_reaches_the_blocks() -> None:
    task = toy(residual=True, phases=PHASES[1:])
    for p in task.net.diffloss.parameters():
        nn.init.normal_(p, std=0.1)
    batch = task.prepare(task.batch(0, 4), torch.Generator().manual_seed(0))
    assert task.pool is not None
    last = task.pool.tokens[batch_rows := task.batch(0, 4)["rows"]][:, -16:], task.pool.residual[batch_rows].float()
    for token, r in zip(tokens_of(batch)[-1].flatten(), batch["r"], strict=True):
        assert ((last[0] == token) & (last[1] == r).all(-1)).any()
    loss, figures = task.loss(task.net, batch, torch.Generator())
    without = task.loss(task.net, {name: each for name, each in batch.items() if name != "r"}, torch.Generator())[0]
    torch.testing.assert_close(loss - without, figures["noise"] + figures["bound"])
    (gradient,) = torch.autograd.grad(loss - without, task.net.blocks[0].attn.proj.weight)
    assert gradient.abs().max() > 1e-6


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")
def test_a_run_that_stops_between_phases_ends_in_the_same_weights(tmp_path: Path) -> None:
    assert ends_in_the_same_weights(toy, RECIPE, tmp_path, losses=6, every=4)


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")
def test_training_lowers_the_loss_on_test_scenes(tmp_path: Path) -> None:
    task = toy(phases=[{"steps": 60, "batch": 8, "scales": 4}], pool=64)
    first = task.test_loss(task.net, CPU, count=32)["cross_entropy"]
    net, _ = fit(task, replace(RECIPE, steps=60, lr=1e-2, warmup=5, ema=0.8), folder=tmp_path, device="cpu")
    assert task.test_loss(net, CPU, count=32)["cross_entropy"] < 0.9 * first


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")
def test_training_the_head_lowers_its_loss_and_touches_nothing_else(tmp_path: Path) -> None:
    task = toy_head(network(toy_geometry()))
    before = {name: p.clone() for name, p in task.net.named_parameters()}
    batch = task.prepare(task.batch(0, 64), torch.Generator().manual_seed(0))
    first = task.loss(task.net, batch, torch.Generator())[0]
    net, _ = fit(task, replace(RECIPE, steps=40, batch=64, lr=1e-2), folder=tmp_path, device="cpu")
    assert task.loss(net, batch, torch.Generator())[0] < 0.9 * first
    moved = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert moved
    assert all(name.startswith(PARTS) for name in moved)


def test_the_bound_is_the_divergence_of_the_two_posteriors() -> None:
    chain, generator = Chain.of(8), torch.Generator().manual_seed(0)
    x0, noise, error = (torch.randn(6, 1, generator=generator, dtype=torch.float64) for _ in range(3))
    fraction = torch.rand(6, 1, generator=generator, dtype=torch.float64) * 2 - 1
    for i in range(1, 8):
        bar, beta, before = (float(values[i]) for values in (chain.alphas_bar, chain.betas, chain.before))
        x = bar**0.5 * x0 + (1 - bar) ** 0.5 * noise
        guess = (x - (1 - bar) ** 0.5 * (noise + error)) / bar**0.5
        true = Normal(chain.mean(i, x, x0), chain.log_variance(i, torch.tensor(-1.0).double()).mul(0.5).exp())
        found = Normal(chain.mean(i, x, guess), chain.log_variance(i, fraction).mul(0.5).exp())
        of_x0 = beta * before**0.5 / (1 - bar)
        ends = [chain.log_variance(i, torch.tensor([[end]]).double()) for end in (-1.0, 1.0)]
        at = {"bar": torch.tensor([[bar]]), "low": ends[0], "high": ends[1], "of_x0": torch.tensor([[of_x0]])}
        torch.testing.assert_close(
            variance_bound(fraction, error, at), kl_divergence(true, found), rtol=1e-5, atol=1e-7, check_dtype=False
        )


@pytest.mark.parametrize("steps", [1, 2, 8])
def test_a_perfect_denoiser_says_the_residual(steps: int) -> None:
    chain, r = Chain.of(steps), torch.rand(5, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1

    def perfect(x: Tensor, timestep: int) -> Tensor:
        bar = float(chain.alphas_bar[list(chain.timesteps).index(timestep)])
        return torch.cat([(x - bar**0.5 * r) / (1 - bar) ** 0.5, torch.zeros_like(x)], -1)

    noise = torch.Generator().manual_seed(2)
    found = denoised(perfect, lambda step: torch.randn(r.shape, generator=noise), chain)
    torch.testing.assert_close(found, r, rtol=0, atol=1e-3)


def test_measuring_tells_scales_guidance_and_head_steps() -> None:
    task = toy(cfg=(1.0, 2.0))
    found = task.measure(task.net, CPU, count=2)
    assert {f"cross_entropy/{side}x{side}" for side in SIDES} < found.keys()
    assert {"first_of_16/real", "first_of_16/steps=0/cfg=1", "first_of_16/steps=0/cfg=2"} < found.keys()
    assert 0 <= found["accuracy/steps=0/cfg=2"] <= 1


@pytest.mark.parametrize("name", ["hart_tokenizer", "hart_mini", "hart_fine", "hart_head"])
def test_every_config_composes(name: str) -> None:
    ConfigStore.instance().store(name="zoo_schema", node=Zoo)
    ConfigStore.instance().store(group="schema/model", name="base", node=Model)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("zoo", overrides=[f"model={name}"])
    assert Recipe(**instantiate(cfg.model.recipe)).steps > 1000


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")
def test_training_goes_on_from_a_whole(tmp_path: Path) -> None:
    whole = network(toy_geometry(), seed=5)
    before = whole.word_embed.weight.clone()
    net: Any = fit(toy(whole=whole), replace(RECIPE, steps=1, lr=1e-6), folder=tmp_path, device="cpu")[0]
    torch.testing.assert_close(net.word_embed.weight, before, rtol=0, atol=1e-5)
    assert not torch.equal(net.word_embed.weight, before)


def test_more_steps_than_the_phases_have_are_refused() -> None:
    with pytest.raises(BadInput, match=r"recipe\.steps"):
        toy().batch(8, 4)


def test_the_generators_configuration_is_of_the_models_that_are_trained() -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config, again = (instantiate(compose(f"generator/{name}").generator) for name in ("hart_mini", "hart_reconstructed"))
    assert config.geometry == mini()
    trained = {name: value.shape for name, value in hybrid_network().state_dict().items()}
    for vae in (config.models_without_storage()[1], again.without_storage()):
        assert {name: value.shape for name, value in vae.state_dict().items()} == trained
