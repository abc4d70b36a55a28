"""Scenes are a pure function of (split, index), their splits never meet, and their attributes are spread evenly."""

from collections.abc import Callable

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor

from sdaccel import world
from sdaccel.errors import BadInput
from sdaccel.world.attributes import CLASSES, COLUMN, FIELDS, MATERIALS, SHAPES, SIZES, SLOTS, Scenes
from sdaccel.world.scenes import INDEX_BITS, REACH

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="compares CPU with a GPU")


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return world.captioned("train", range(20_000))


def fields_of(scenes: Scenes) -> dict[str, Tensor]:
    return vars(scenes)


@pytest.mark.parametrize("draw", [world.captioned, world.classes])
def test_a_scene_is_the_same_alone_and_in_any_batch(draw: Callable[..., Scenes]) -> None:
    indices = [9, 3, 2**40, 3]
    batch = draw("val", indices)
    for row, index in enumerate(indices):
        for name, value in fields_of(draw("val", torch.tensor([index]))).items():
            assert torch.equal(value[0], fields_of(batch)[name][row]), name


def test_the_first_scene_never_changes() -> None:
    """Golden: these words were written by this code once; trained weights and committed records depend on them."""
    scene = world.captioned("test", [0])
    assert scene.keys.tolist() == [(3 << 50) + (2 << 48)]
    assert scene.facts.tolist() == [[0, -1, -1, 3, 1, 2, 6, 0, 0, *[-1] * 8]]


def test_keys_of_splits_and_worlds_never_meet() -> None:
    last = (1 << INDEX_BITS) - 1
    seen = [
        int(key) for split in world.SPLITS for kind in range(SLOTS + 1) for key in world.keys(split, [0, 1, last], world=kind)
    ]
    assert len(set(seen)) == len(seen)


def test_the_phase_lattice_names_the_split_so_no_scene_is_in_two_splits() -> None:
    for number, split in enumerate(world.SPLITS):
        lattice = world.captioned(split, range(2000)).phase[:, 0].double() * 2**24
        assert torch.equal(lattice % 4, torch.full_like(lattice, number))


def test_no_two_of_twenty_thousand_scenes_are_equal() -> None:
    rows = []
    for split in world.SPLITS:
        scenes = world.captioned(split, range(7000))
        rows.append(torch.cat([scenes.facts, scenes.centre.flatten(1), scenes.radius, scenes.angle, scenes.phase], 1))
    every = torch.cat(rows)
    assert len(torch.unique(every, dim=0)) == len(every) == 21_000


@pytest.mark.parametrize("name", [name for name in FIELDS if not name.startswith(("size", "side"))])
def test_every_attribute_is_uniform_where_it_exists(scenes: Scenes, name: str) -> None:
    values = scenes.facts[:, COLUMN[name]]
    counts = torch.bincount(values[values >= 0], minlength=FIELDS[name])
    assert chisquare(counts).pvalue > 1e-3


def test_sizes_are_uniform_for_single_objects_and_without_large_in_groups(scenes: Scenes) -> None:
    single = torch.bincount(scenes.size[scenes.count == 1, 0], minlength=3)
    assert chisquare(single).pvalue > 1e-3
    for slot in range(2):
        group = torch.bincount(scenes.size[scenes.count > 1, slot], minlength=3)
        assert group[SIZES.index("large")] == 0
        assert chisquare(group[:2]).pvalue > 1e-3


def test_sides_lie_across_the_pair_and_are_balanced(scenes: Scenes) -> None:
    trio = scenes[scenes.count == 3]
    for relation, allowed in ((0, {1, 3}), (1, {0, 2}), (2, {0, 1, 2, 3})):
        sides = trio.side[trio.relation == relation]
        assert set(sides.tolist()) == allowed
        assert chisquare(torch.bincount(sides, minlength=4)[sorted(allowed)]).pvalue > 1e-3


def test_shape_and_colour_are_independent(scenes: Scenes) -> None:
    joint = torch.bincount(scenes.shape[:, 0] * 8 + scenes.colour[:, 0], minlength=48)
    assert chisquare(joint).pvalue > 1e-3


def test_what_is_absent_is_minus_one_and_nothing_else_is(scenes: Scenes) -> None:
    slots = torch.arange(SLOTS) < scenes.count[:, None]
    for name in ("shape", "colour", "material", "size"):
        assert torch.equal(fields_of(scenes)[name] >= 0, slots)
    assert torch.equal(scenes.relation >= 0, scenes.count > 1)
    assert torch.equal(scenes.side >= 0, scenes.count > 2)


def test_colours_of_one_scene_differ(scenes: Scenes) -> None:
    colour = scenes.colour[scenes.count == 3]
    assert (colour != colour.roll(1, 1)).all()


def test_objects_stay_in_the_picture_and_apart_unless_one_is_in_front(scenes: Scenes) -> None:
    present = scenes.shape >= 0
    reach = (REACH * scenes.radius).unsqueeze(2)
    inside = ((scenes.centre >= reach) & (scenes.centre <= 1 - reach)).all(2)
    assert inside[present].all()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        apart = scenes[(scenes.count > b) & ((scenes.relation != 2) | (b == 2))]
        distance = (apart.centre[:, a] - apart.centre[:, b]).abs().amax(1)  # bounding squares do not meet
        assert (distance > REACH * (apart.radius[:, a] + apart.radius[:, b])).all()


def test_relations_hold_in_the_geometry(scenes: Scenes) -> None:
    x, y = scenes.centre.unbind(2)
    left, above = scenes.relation == 0, scenes.relation == 1
    assert (x[left, 1] - x[left, 0] > 2.5 * (y[left, 1] - y[left, 0]).abs()).all()
    assert (y[above, 1] - y[above, 0] > 2.5 * (x[above, 1] - x[above, 0]).abs()).all()
    for side, axis, sign in ((0, x, -1), (1, y, -1), (2, x, 1), (3, y, 1)):
        trio = axis[scenes.side == side]
        assert (sign * (trio[:, 2:] - trio[:, :2]) > 0.2).all()


def test_sizes_never_come_near_each_other(scenes: Scenes) -> None:
    ranges = [(scenes.radius[scenes.size == size].min(), scenes.radius[scenes.size == size].max()) for size in range(3)]
    assert ranges[1][0] > 1.24 * ranges[0][1]
    assert ranges[2][0] > 1.24 * ranges[1][1]


def test_class_scenes_hold_one_large_object_and_use_every_class_evenly() -> None:
    scenes = world.classes("train", range(12_000))
    assert (scenes.count == 1).all()
    assert (scenes.size[:, 0] == SIZES.index("large")).all()
    assert len(CLASSES) == 24
    assert chisquare(torch.bincount(scenes.labels, minlength=len(CLASSES))).pvalue > 1e-3
    named = [CLASSES[label].split() for label in scenes.labels[:50].tolist()]
    assert named == [
        [MATERIALS[int(m)], SHAPES[int(s)]] for m, s in zip(scenes.material[:50, 0], scenes.shape[:50, 0], strict=True)
    ]


@cuda
def test_a_gpu_draws_the_same_scenes() -> None:
    here, there = world.captioned("val", range(4096)), world.captioned("val", torch.arange(4096, device="cuda"))
    for name, value in fields_of(here).items():
        if value.is_floating_point():
            torch.testing.assert_close(value, fields_of(there)[name].cpu(), atol=1e-6, rtol=0)
        else:
            assert torch.equal(value, fields_of(there)[name].cpu()), name


def test_bad_input_is_named() -> None:
    with pytest.raises(BadInput, match="split=tset"):
        world.captioned("tset", [0])
    with pytest.raises(BadInput, match="indices run from 0"):
        world.captioned("test", [-1])
