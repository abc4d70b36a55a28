"""Scenes that show what was stated: the facts hold, the rest is drawn as always, and no picture needs a second look."""

from typing import Any

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sdaccel import world
from sdaccel.errors import BadInput
from sdaccel.metrics.judge import RESOLUTION, Judge
from sdaccel.shipped import restore
from sdaccel.world.attributes import CLASSES, COLUMN, FIELDS, SLOTS, Scenes
from sdaccel.world.render import render
from sdaccel.world.scenes import REACH

COUNT = 4000


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return world.captioned("test", range(COUNT))


@pytest.fixture(scope="module")
def keys() -> Tensor:
    return world.keys("test", range(COUNT), world=SLOTS + 1)


def equal(a: Scenes, b: Scenes) -> bool:
    return all(torch.equal(value, getattr(b, name)) for name, value in vars(a).items())


def facts(**given: int) -> Tensor:
    row = torch.full((1, len(FIELDS)), -1)
    for name, value in given.items():
        row[0, COLUMN[name]] = value
    return row


def test_all_or_nothing_stated_is_the_scene_of_the_key(scenes: Scenes) -> None:
    assert equal(world.stated(scenes.facts, scenes.keys), scenes)
    assert equal(world.stated(torch.full_like(scenes.facts, -1), scenes.keys), scenes)
    classes = world.classes("val", range(200))
    assert equal(world.of_class(classes.labels, classes.keys), classes)


def test_any_part_of_any_scene_can_be_stated_with_any_key(scenes: Scenes, keys: Tensor) -> None:
    hidden = torch.rand(scenes.facts.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    given = scenes.facts.masked_fill(hidden, -1)
    made = world.stated(given, keys)
    assert (made.facts == given)[given >= 0].all()
    colours = made.colour.masked_fill(made.colour < 0, 99)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert ((colours[:, a] != colours[:, b]) | (colours[:, a] == 99)).all()
    reach = (REACH * made.radius).unsqueeze(2)
    inside = ((made.centre >= reach) & (made.centre <= 1 - reach)).all(2)
    assert inside[made.shape >= 0].all()


def test_objects_that_are_not_spoken_of_do_not_exist(keys: Tensor) -> None:
    assert (world.stated(facts(shape0=1).expand(50, -1), keys[:50]).count == 1).all()
    assert (world.stated(facts(relation=1).expand(50, -1), keys[:50]).count == 2).all()
    assert (world.stated(facts(side=0).expand(50, -1), keys[:50]).count == 3).all()


@pytest.mark.parametrize("side", range(4))
def test_what_is_not_stated_is_drawn_given_what_is(side: int, scenes: Scenes, keys: Tensor) -> None:
    """With the third object on this side, relations and colours are as frequent as among captioned scenes with that side."""
    made = world.stated(facts(side=side, colour1=3).expand(COUNT, -1), keys)
    assert set(made.relation.tolist()) == {2, 1 - side % 2}
    assert chisquare(torch.bincount(made.relation, minlength=3)[[1 - side % 2, 2]], [COUNT * 2 / 3, COUNT / 3]).pvalue > 1e-3
    others = torch.bincount(made.colour[:, 0], minlength=8)
    assert others[3] == 0
    assert chisquare(others[[0, 1, 2, 4, 5, 6, 7]]).pvalue > 1e-3


def test_the_judge_sees_what_was_stated(scenes: Scenes, keys: Tensor) -> None:
    judge: Any = restore("judge_mini", Judge())
    given = scenes.facts[:128].clone()
    given[:, COLUMN["tone"] : COLUMN["kind"] + 1] = -1
    seen = judge.attributes(render(world.stated(given, keys[:128]), resolution=RESOLUTION))
    assert (seen == given)[given >= 0].float().mean() > 0.99
    labels = torch.arange(96) % len(CLASSES)
    made = world.of_class(labels, keys[:96])
    assert torch.equal(made.labels, labels)
    seen = judge.attributes(render(made, resolution=RESOLUTION))
    assert (seen == made.facts)[made.facts >= 0].float().mean() > 0.99


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"shape0": 6}, "no scene has"),
        ({"relation": 3}, "no scene has"),
        ({"count": 0, "shape1": 1}, "more objects than it counts"),
        ({"size0": 2, "shape1": 1}, "where none fits"),
        ({"colour0": 2, "colour2": 2}, "one colour"),
        ({"relation": 0, "side": 0}, "in line with the pair"),
    ],
)
def test_what_this_world_cannot_show_is_refused(given: dict[str, int], why: str, keys: Tensor) -> None:
    with pytest.raises(BadInput, match=why):
        world.stated(facts(**given), keys[:1])


def test_a_label_that_is_no_class_is_refused(keys: Tensor) -> None:
    with pytest.raises(BadInput, match="classes 0"):
        world.of_class(torch.tensor([24]), keys[:1])
