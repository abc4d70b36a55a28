"""Real pictures as an arm: what was asked for, from condition and seed alone, and never a picture of training."""

from typing import Any

import pytest
import torch
from torch.nn.functional import avg_pool2d

from sdaccel import world
from sdaccel.conditions import Condition, batches
from sdaccel.errors import BadInput
from sdaccel.generators.world.generator import World
from sdaccel.metrics.judge import Judge
from sdaccel.noise import sample_seeds
from sdaccel.shipped import restore
from sdaccel.world.attributes import CLASSES, SLOTS
from sdaccel.world.captions import captions
from sdaccel.world.reading import parse

LABELS: list[Condition] = list(range(24))
PROMPTS: list[Condition] = [*captions(world.captioned("test", range(24)))]
CPU = torch.device("cpu")


def pictures(config: World, conditions: list[Condition], *, size: int = 4, seed: int = 0) -> torch.Tensor:
    made = [
        config.build(CPU).generate(batch, backend=None, strategy=None).images
        for batch in batches(conditions, seed=seed, size=size)
    ]
    return torch.cat(made)[: len(conditions)]


@pytest.mark.parametrize(("kind", "conditions"), [("classes", LABELS), ("captioned", PROMPTS)])
def test_a_picture_is_the_same_in_any_batch_and_another_with_another_seed(kind: str, conditions: list[Condition]) -> None:
    config = World(kind=kind, image_size=32)
    images = pictures(config, conditions)
    assert images.shape == (24, 3, 32, 32)
    assert torch.equal(pictures(config, conditions, size=1), images)
    assert (pictures(config, conditions, seed=1) != images).flatten(1).any(1).all()


def test_pictures_show_what_was_asked_for() -> None:
    judge: Any = restore("judge_mini", Judge())
    given = torch.stack([parse(str(prompt)) for prompt in PROMPTS])
    seen = judge.attributes(pictures(World(kind="captioned"), PROMPTS))
    assert (seen == given)[given >= 0].float().mean() > 0.97
    found = judge.attributes(pictures(World(), LABELS))
    assert [CLASSES.index(f"{m} {s}") for m, s in _named(found)] == LABELS


@pytest.mark.parametrize("factor", [2, 4])
def test_a_blurred_picture_lacks_detail_and_keeps_the_rest(factor: int) -> None:
    plain, blurred = World(image_size=128), World(image_size=128, blur=factor)
    sharp, soft = pictures(plain, LABELS[:8]), pictures(blurred, LABELS[:8])
    assert torch.equal(pictures(blurred, LABELS[:8], size=1), soft)
    assert soft.min() >= 0 and soft.max() <= 1
    lost, kept = (soft - sharp).square().mean(), (avg_pool2d(soft, factor) - avg_pool2d(sharp, factor)).square().mean()
    assert lost > 10 * kept
    assert torch.equal(pictures(World(image_size=128, blur=1), LABELS[:8]), sharp)


def _named(facts: torch.Tensor) -> list[tuple[str, str]]:
    from sdaccel.world.attributes import COLUMN, MATERIALS, SHAPES

    return [(MATERIALS[int(row[COLUMN["material0"]])], SHAPES[int(row[COLUMN["shape0"]])]) for row in facts]


@pytest.mark.parametrize("split", world.SPLITS)
def test_a_picture_belongs_to_its_split_and_to_no_scene_that_has_an_index(split: str) -> None:
    scenes = World(split=split).scenes(LABELS, sample_seeds(0, range(24)))
    lattice = (scenes.phase[:, 0].double() * 2**24).long()
    assert (lattice % 4 == world.SPLITS.index(split)).all()
    assert (scenes.keys >> 50 == SLOTS + 1).all()


@pytest.mark.parametrize(
    ("config", "conditions", "words"),
    [
        (World(), [24], "label 24 is no class"),
        (World(), ["a cat"], "label 'a cat' is no class"),
        (World(kind="captioned"), ["a cat"], "'cat' is not in the vocabulary"),
        (World(kind="captioned"), ["a red star left of a red ring"], "gives two objects one colour"),
        (World(kind="paintings"), [0], "kind=paintings"),
        (World(split="tset"), [0], "split=tset"),
        (World(image_size=0), [0], "image_size=0"),
        (World(blur=0), [0], "blur=0 must be at least 1"),
        (World(blur=3), [0], "blur=3 does not divide 64 pixels; choose one of 1, 2, 4, 8, 16, 32, 64"),
    ],
)
def test_what_cannot_be_drawn_is_named(config: World, conditions: list[Condition], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        config.check(conditions)
