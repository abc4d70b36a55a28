"""Training tasks of the VAR minis at toy size: tokens of real scenes, teacher forcing, distillation."""

from pathlib import Path
from typing import cast

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate

from sdaccel import world
from sdaccel.cli.zoo import Model, Zoo
from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.init import unit_scale
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.var.model import VAR
from sdaccel.world.attributes import CLASSES
from sdaccel.zoo import next_scale
from sdaccel.zoo.next_scale import NextScaleTask
from sdaccel.zoo.training import Recipe, fit
from tests.conformance.upstream import painted
from tests.conftest import CONF

SIDES = (1, 2, 3, 4)
"""16 px."""
VOCAB = 16


def toy_tokenizer() -> VQVAE:
    model = VQVAE(ch=32, vocab=VOCAB, Cvae=8, scales=len(SIDES), mult=(1, 1, 2))
    model.load_state_dict(unit_scale({name: p.shape for name, p in model.named_parameters()}, seed=0), strict=False)
    return model


def toy(*, teacher: bool = False) -> NextScaleTask:
    taught_by = next_scale.network(2, patch_nums=SIDES, vocab=VOCAB) if teacher else None
    return NextScaleTask(1, tokenizer=toy_tokenizer(), teacher=taught_by, patch_nums=SIDES)


@pytest.mark.filterwarnings("ignore:.*:UserWarning", "ignore:.*:FutureWarning")
@pytest.mark.parametrize("teacher", [False, True], ids=["alone", "distilled"])
def test_training_lowers_the_loss_on_test_scenes_and_touches_only_the_student(teacher: bool, tmp_path: Path) -> None:
    task = toy(teacher=teacher)
    fixed = [p for module in (task.tokenizer, task.teacher) if module is not None for p in module.parameters()]
    before = [p.clone() for p in fixed]
    first = task.test_loss(task.net, torch.device("cpu"), count=64)["cross_entropy"]
    recipe = Recipe(steps=40, batch=16, lr=5e-3, warmup=5, ema=0.8, bf16=False)
    net, _ = fit(task, recipe, folder=tmp_path, device="cpu")
    assert task.test_loss(net, torch.device("cpu"), count=64)["cross_entropy"] < 0.85 * first
    assert all(torch.equal(p, q) for p, q in zip(fixed, before, strict=True))
    assert all(torch.equal(p, q) for p, q in zip(net.buffers(), task.net.buffers(), strict=True))  # a mean of -inf is nan


def test_a_student_equal_to_its_teacher_learns_only_the_truth() -> None:
    """The gradient of the distillation term is zero where the student already has the teacher's probabilities."""
    alone, task = toy(), toy()
    task.teacher = cast(VAR, task.net)
    batch = task.batch(0, 8)
    for some in (alone, task):
        some.loss(some.net, batch, torch.Generator())[0].backward()
    for p, q in zip(alone.net.parameters(), task.net.parameters(), strict=True):
        if p.grad is not None:
            assert q.grad is not None
            assert torch.allclose(q.grad, 0.5 * p.grad, rtol=1e-3, atol=1e-7)


def test_a_lesson_is_what_the_quantiser_itself_would_feed_back() -> None:
    task, scenes = toy(), world.classes("train", range(6))
    _, idx, maps = task.lesson(scenes)
    _, again = painted(task.tokenizer, idx, task.layout)
    assert torch.equal(maps, again)
    assert idx.shape == (6, 30)


def test_a_tenth_of_the_labels_is_dropped_by_scene_and_not_by_batch() -> None:
    task = toy()
    labels, _, _ = task.lesson(world.classes("train", range(600)))
    dropped = labels == len(CLASSES)
    assert 0.06 < dropped.float().mean() < 0.14
    again, _, _ = task.lesson(world.classes("train", range(300, 310)))
    assert torch.equal(again, labels[300:310])
    assert torch.equal(labels[~dropped], world.classes("train", range(600)).labels[~dropped])


def test_the_loss_is_one_graph() -> None:
    """A look at tensor data would split it, and each piece would wait for the host."""
    task = toy(teacher=True)
    graphs = []

    def count(module: torch.fx.GraphModule, inputs: object) -> object:
        graphs.append(module)
        return module.forward

    compiled = torch.compile(task.loss, dynamic=False, backend=count)
    batch = task.batch(0, 4)
    loss, _ = compiled(task.net, batch, torch.Generator())
    assert len(graphs) == 1
    torch.testing.assert_close(loss, task.loss(task.net, batch, torch.Generator())[0])


def test_measuring_tells_every_scale_and_every_guidance() -> None:
    found = toy().measure(toy().net, torch.device("cpu"), per_class=1)
    assert {f"cross_entropy/{side}x{side}" for side in SIDES} < found.keys()
    accuracies = {name: value for name, value in found.items() if name.startswith("class_accuracy/")}
    assert len(accuracies) == 2 + len(next_scale.GUIDANCE)
    assert all(0 <= value <= 1 for value in accuracies.values())


@pytest.mark.parametrize(("name", "depth"), [("target", 4), ("draft", 2), ("draft_distilled", 2)])
def test_every_config_composes(name: str, depth: int) -> None:
    ConfigStore.instance().store(name="zoo_schema", node=Zoo)
    ConfigStore.instance().store(group="schema/model", name="base", node=Model)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("zoo", overrides=[f"model=var_mini_{name}"])
    assert cfg.model.task.depth == depth
    assert Recipe(**instantiate(cfg.model.recipe)).steps > 1000


def test_weights_that_were_never_trained_are_refused() -> None:
    with pytest.raises(BadInput, match="no weights of vqvae_giant ship"):
        NextScaleTask(2, tokenizer="vqvae_giant")
    with pytest.raises(BadInput, match="no weights of var_giant ship"):
        NextScaleTask(1, tokenizer=toy_tokenizer(), teacher="var_giant")
