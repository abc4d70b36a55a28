"""Laws of the training of flux_mini and its autoencoder, at toy size."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.flux.model import Shape
from sdaccel.generators.flux.schedule import times
from sdaccel.generators.flux.text import TextTower
from sdaccel.generators.flux.vae import FluxVae
from sdaccel.world.captions import caption_tokens
from sdaccel.zoo import contrastive, flux_vae
from sdaccel.zoo.flow import FlowTask, network, times_law, turn, velocity
from sdaccel.zoo.flux_vae import VaeTask
from sdaccel.zoo.training import Recipe, fit

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
RECIPE = Recipe(steps=2, batch=4, lr=1e-3, warmup=1, log_every=1, bf16=False)


def toy_vae() -> FluxVae:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FluxVae(widths=(8, 8, 8))


def toy_task(**options: object) -> FlowTask:
    return FlowTask(
        text=TextTower(contrastive.network()).requires_grad_(False),
        vae=toy_vae(),
        pool=8,
        reuse=2,
        shape=TOY,
        resolution=RESOLUTION,
        **options,  # type: ignore[arg-type]
    )


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def test_the_flow_trains_and_resumes_in_the_middle_of_a_pool(tmp_path: Path) -> None:
    whole, _ = fit(toy_task(), Recipe(**{**vars(RECIPE), "steps": 4}), folder=tmp_path / "whole", device="cpu")
    recipe = Recipe(**{**vars(RECIPE), "steps": 4, "checkpoint_every": 3})
    fit(toy_task(), recipe, folder=tmp_path / "part", device="cpu")
    assert all(torch.isfinite(p).all() for p in whole.parameters())
    assert [line["step"] for line in curve(tmp_path / "whole")] == [0, 1, 2, 3]


def test_the_loss_of_one_batch_falls() -> None:
    task = toy_task()
    optimiser = torch.optim.Adam(task.net.parameters(), lr=1e-2)
    losses = []
    for _ in range(12):
        loss, _ = task.loss(task.net, task.batch(0, 8), torch.Generator().manual_seed(0))
        losses.append(float(loss))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[-1] < 0.9 * losses[0]
