"""Laws of the training of flux_mini and its autoencoder, at toy size."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from torch import Tensor

from sdaccel import registry
from sdaccel.errors import BadInput
from sdaccel.generators.flux.model import Shape
from sdaccel.generators.flux.packing import position_ids
from sdaccel.generators.flux.runtime import random_init
from sdaccel.generators.flux.schedule import times
from sdaccel.generators.flux.vae import FluxVae
from sdaccel.generators.text import TextTower, embed
from sdaccel.shipped import restore, ship
from sdaccel.world.captions import CONTEXT
from sdaccel.zoo import contrastive, flux_vae
from sdaccel.zoo.flow import FlowTask, mini, network, times_law, turn, velocity
from sdaccel.zoo.flux_vae import VaeTask
from sdaccel.zoo.training import Recipe
from tests.zoo.stopped import ends_in_the_same_weights

TOY = Shape(
    channels=16,
    doubles=1,
    singles=1,
    heads=2,
    head_dim=16,
    axes=(4, 4, 8),
    text_width=96,
    pooled_width=128,
    guidance_embeds=False,
)
RESOLUTION = 16
RECIPE = Recipe(steps=5, batch=4, lr=1e-3, warmup=1, log_every=1, bf16=False)
CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
MIB = 2**20


def toy_vae(seed: int = 0) -> FluxVae:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return FluxVae(widths=(8, 8, 8))


def toy_task() -> FlowTask:
    text = TextTower(contrastive.network()).requires_grad_(False)
    return FlowTask(text=text, vae=toy_vae(), pool=8, reuse=2, shape=TOY, resolution=RESOLUTION)


def toy_vae_task() -> VaeTask:
    task = VaeTask(resolution=RESOLUTION)
    task.net = toy_vae()
    return task


def drawn() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def loss_of(task: FlowTask | VaeTask, *, size: int) -> Tensor:
    """Of the first step."""
    prepare = getattr(task, "prepare", lambda batch, generator: batch)
    return task.loss(task.net, prepare(task.batch(0, size), drawn()), drawn())[0]


def learnt(task: FlowTask | VaeTask, *, steps: int, lr: float) -> list[float]:
    """Losses on one batch, seen again and again."""
    optimiser = torch.optim.Adam([p for p in task.net.parameters() if p.requires_grad], lr=lr)
    losses = []
    for _ in range(steps):
        loss = loss_of(task, size=8)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return losses


@pytest.mark.parametrize("make", [toy_task, toy_vae_task])
def test_the_loss_of_one_batch_falls(make: type[FlowTask] | type[VaeTask]) -> None:
    losses = learnt(make(), steps=12, lr=1e-2)
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")
def test_a_run_that_stops_in_the_middle_of_a_pool_ends_in_the_same_weights(tmp_path: Path) -> None:
    assert ends_in_the_same_weights(toy_task, RECIPE, tmp_path, losses=4, every=3)


def test_every_scene_of_a_pool_comes_once_a_lap_and_pools_change_after_their_laps() -> None:
    turns = [turn(step, size=4, pool=12, reuse=2) for step in range(12)]
    assert [number for number, _ in turns] == [0] * 6 + [1] * 6
    laps = [torch.cat([rows for _, rows in turns[i : i + 3]]) for i in range(0, 12, 3)]
    assert all(lap.sort().values.tolist() == list(range(12)) for lap in laps)
    assert len({tuple(lap.tolist()) for lap in laps}) == 4


def test_a_pool_that_batches_do_not_divide_is_refused() -> None:
    with pytest.raises(BadInput, match=r"multiple of recipe\.batch=3"):
        toy_task().batch(0, 3)


def test_lessons_are_tokens_texts_and_rising_times_that_depend_on_the_step_alone() -> None:
    task, again = toy_task(), toy_task()
    lesson = task.prepare(task.batch(3, 4), drawn())
    assert lesson["clean"].shape == lesson["noise"].shape == (4, 4, 16)
    assert lesson["hidden"].shape == (4, 32, 96) and lesson["pooled"].shape == (4, 128)
    assert bool((lesson["t"].diff() > 0).all()) and float(lesson["t"][0]) > 0 and float(lesson["t"][-1]) < 1
    again.prepare(again.batch(0, 4), drawn())
    same = again.prepare(again.batch(3, 4), drawn())
    assert all(torch.equal(lesson[name], same[name]) for name in lesson)


def test_dropped_captions_are_the_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdaccel.zoo.flow.UNTOLD", 1.0)
    task = toy_task()
    lesson = task.prepare(task.batch(0, 4), drawn())
    hidden, pooled = embed(task.text, [""])
    assert torch.allclose(lesson["hidden"], hidden.expand(4, -1, -1), atol=1e-5)
    assert torch.allclose(lesson["pooled"], pooled.expand(4, -1), atol=1e-5)


def test_times_centre_where_the_schedule_does() -> None:
    u = (torch.arange(1000) + 0.5) / 1000
    middle = times(2, tokens=256)[1]
    assert float(times_law(u, tokens=256).median()) == pytest.approx(middle, abs=1e-3)
    assert torch.isfinite(times_law(torch.tensor([0.0, 1.0]), tokens=256)).all()


@torch.no_grad()
def test_the_velocity_in_training_is_diffusers_own() -> None:
    net = network(TOY)
    random_init(net, seed=0)
    x, hidden, pooled = torch.randn(2, 4, 16), torch.randn(2, 32, 96), torch.randn(2, 128)
    t = torch.tensor([0.2, 0.9])
    ids, words = position_ids(2, 2), torch.zeros(32, 3)
    own = net(
        hidden_states=x,
        encoder_hidden_states=hidden,
        pooled_projections=pooled,
        timestep=t,
        img_ids=ids,
        txt_ids=words,
    ).sample
    assert torch.equal(velocity(net, x, t, hidden, pooled, rotary=net.pos_embed(torch.cat([words, ids]))), own)


@torch.no_grad()
def test_a_fresh_network_paints_nothing() -> None:
    net = network(TOY)
    rotary = net.pos_embed(torch.zeros(36, 3))
    v = velocity(net, torch.randn(1, 4, 16), torch.ones(1), torch.randn(1, 32, 96), torch.randn(1, 128), rotary=rotary)
    assert float(v.abs().max()) == 0


def test_what_ships_is_within_its_budget() -> None:
    with torch.device("meta"):
        flow = network(mini(channels=16, text_width=96, pooled_width=128))
    assert 2 * sum(p.numel() for p in flow.parameters()) <= 7 * MIB
    assert 2 * sum(p.numel() for p in flux_vae.network().parameters()) <= 2 * MIB


def test_the_generators_config_is_of_the_models_that_are_trained() -> None:
    registry.load_all()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        config = instantiate(compose("generator/flux_mini").generator, _convert_="all")
    trained = mini(channels=16, text_width=96, pooled_width=128)
    assert replace(config.shape, axes=tuple(config.axes)) == trained
    assert config.autoencoder().state_dict().keys() == flux_vae.network().state_dict().keys()
    assert (config.height, config.tokens, config.text_tokens) == (flux_vae.RESOLUTION, 256, CONTEXT)


@torch.no_grad()
def test_shift_and_scale_follow_the_latents_and_ship(tmp_path: Path) -> None:
    net, mean = toy_vae(), torch.randn(8, 4, 16, 16, generator=drawn()) * 3 + 5
    for _ in range(400):
        flux_vae.follow(net, mean)
    assert torch.allclose(net.shift, mean.mean((0, 2, 3)), atol=0.01)
    assert torch.allclose(net.scale, 1 / mean.transpose(0, 1).flatten(1).std(1), atol=0.001)
    ship("vae", net, folder=tmp_path)
    back = restore("vae", toy_vae(1), folder=tmp_path)
    assert torch.equal(back.get_parameter("shift"), net.shift.half().float())


def test_the_latents_moments_are_no_matter_of_the_optimiser() -> None:
    task = toy_vae_task()
    before = copy.deepcopy(task.net)
    task.loss(task.net, task.batch(0, 4), drawn())[0].backward()
    assert task.net.shift.grad is None and task.net.scale.grad is None
    assert not torch.equal(task.net.shift, before.shift)


def test_measures_name_real_rebuilt_and_generated_pictures() -> None:
    task = toy_task()
    found = task.measure(task.net, CPU, count=4)
    assert {"accuracy/real", "accuracy/reconstructed", "accuracy/steps=50/cfg=2", "accuracy/steps=10/cfg=1"} <= found.keys()
    assert all(0 <= value <= 1 for value in found.values())
    assert flux_vae.reconstruction(toy_vae(), count=4, resolution=RESOLUTION, device=CPU)["psnr"] > 0
