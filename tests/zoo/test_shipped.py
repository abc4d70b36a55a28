"""The weights that ship do what they are for, on scenes that training never drew."""

import json
from functools import partial
from typing import Any, cast

import pytest
import torch
from safetensors import safe_open

import sdaccel.torchvision_guard  # noqa: F401  (before open_clip)
from sdaccel import world
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.metrics.judge import RESOLUTION, Judge
from sdaccel.noise import sample_seeds
from sdaccel.shipped import FOLDER, MANIFEST, locate, restore
from sdaccel.world.attributes import FIELDS
from sdaccel.world.render import render
from sdaccel.zoo import tokenizer
from sdaccel.zoo.contrastive import top1
from sdaccel.zoo.flow_quality import report
from sdaccel.zoo.hart import HartTask
from sdaccel.zoo.hart_quality import paint
from sdaccel.zoo.hybrid_tokenizer import HybridTokenizerTask, continuous
from sdaccel.zoo.judge import accuracy
from sdaccel.zoo.next_scale import NextScaleTask

MIB = 2**20
BUDGET = {"clip_mini": 3, "judge_mini": 1, "vqvae_mini": 2, "var_mini_target": 8, "var_mini_draft": 1.5}
BUDGET |= {"var_mini_draft_distilled": 1.5, "flux_vae": 2, "flux_mini": 7, "hart_tokenizer": 2, "hart_mini": 4}
CPU = torch.device("cpu")


def test_the_parameters_of_every_shipped_model_are_within_its_budget() -> None:
    """Two bytes each; names and shapes in the file's header come on top."""
    bytes_of: dict[str, int] = {}
    for file in json.loads((FOLDER / MANIFEST).read_text()):
        if file.endswith(".safetensors"):
            with safe_open(FOLDER / file, framework="pt") as opened:
                sizes = [opened.get_slice(name).get_shape() for name in opened.keys()]  # noqa: SIM118  (not a dict)
                bytes_of[file.split("/")[0].split(".")[0]] = 2 * sum(torch.Size(size).numel() for size in sizes)
    assert bytes_of.keys() == BUDGET.keys()
    assert all(size <= BUDGET[name] * MIB for name, size in bytes_of.items()), bytes_of


def test_the_judge_reads_test_scenes() -> None:
    judge = restore("judge_mini", Judge())
    found = accuracy(judge, count=256, device=CPU)
    assert sum(found.values()) / len(found) >= 0.97
    assert min(found.values()) >= 0.9


def test_the_judge_looks_at_the_picture() -> None:
    """Judged by the facts of other scenes it is near chance."""
    judge, scenes = restore("judge_mini", Judge()), world.captioned("test", range(256))
    given = judge.attributes(render(scenes, resolution=RESOLUTION))  # type: ignore[operator]
    facts = scenes.facts.roll(1, 0)
    assert (given == facts)[facts >= 0].float().mean() < 1.5 / min(FIELDS.values())


@pytest.fixture(scope="module")
def clip() -> Any:
    import open_clip

    return open_clip.create_model(f"local-dir:{locate('clip_mini')}").eval()


def test_clip_finds_a_picture_s_caption_among_its_neighbours(clip: Any) -> None:
    assert top1(clip, count=256, device=CPU) >= 0.9


def test_the_tokenizer_keeps_test_pictures() -> None:
    net = cast(VQVAE, restore("vqvae_mini", tokenizer.network()))
    through = partial(net.roundtrip, layout=Layout(tokenizer.SCALES))
    for kind in tokenizer.WORLDS:
        assert tokenizer.reconstruction_psnr(through, kind=kind, count=64, device=CPU) >= 27


@pytest.mark.parametrize(("name", "depth", "low", "high"), [("var_mini_target", 4, 0.85, 1.0), ("var_mini_draft", 2, 0.2, 0.8)])
def test_transformers_paint_the_class_they_are_asked_for(name: str, depth: int, low: float, high: float) -> None:
    """The target nearly always, the draft clearly less often: what speculation has to live with."""
    task: Any = NextScaleTask(depth)
    restore(name, task.net)
    judge = restore("judge_mini", Judge())
    assert low <= task.generated_accuracy(task.net, judge, CPU, cfg=2.0, per_class=2) <= high


@torch.no_grad()
def test_codes_keep_pictures_and_the_residual_adds_what_they_leave_out() -> None:
    task = HybridTokenizerTask()
    net = cast(VQVAE, restore("hart_tokenizer", task.shipped()))
    through = partial(tokenizer.reconstruction_psnr, kind="captioned", count=2, device=CPU, resolution=256)
    codes = through(partial(net.roundtrip, layout=task.layout))
    assert codes >= 27
    assert through(partial(continuous, net)) >= codes + 2


def test_hart_paints_what_a_caption_states() -> None:
    task: Any = HartTask()
    restore("hart_mini", task.net)
    scenes = world.captioned("test", torch.tensor([4]))  # three objects
    images = paint(task.net, task.text, task.tokenizer, scenes, sample_seeds(0, [4]), cfg=2.0, steps=8)
    found = report("painted", restore("judge_mini", Judge()), [scenes], [images])
    assert found["accuracy/painted"] >= 0.7
