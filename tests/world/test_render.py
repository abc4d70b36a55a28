"""Pictures: the same at any resolution, smooth at the edges, coloured as named, and every attribute shows."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from sdaccel import world
from sdaccel.world import render as renderer
from sdaccel.world.attributes import COLOURS, KINDS, MATERIALS, SHAPES, SIZES, TONES, Scenes
from sdaccel.world.render import PALETTE, dense, render, sparse
from sdaccel.world.scenes import REACH

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="compares CPU with a GPU")


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return world.captioned("val", range(200))


@pytest.fixture(scope="module")
def images(scenes: Scenes) -> Tensor:
    return render(scenes, resolution=64)


def one(
    *, colour: str = "red", material: str = "flat", shape: str = "circle", kind: str = "plain", tone: str = "grey"
) -> Scenes:
    """A class scene, its object in the middle, with the named attributes."""
    scene = world.classes("test", [0])
    put = {"colour": COLOURS.index(colour), "material": MATERIALS.index(material), "shape": SHAPES.index(shape)}
    slots = {name: torch.tensor([[value, -1, -1]]) for name, value in put.items()}
    back = {"kind": torch.tensor([KINDS.index(kind)]), "tone": torch.tensor([TONES.index(tone)])}
    return replace(scene, **slots, **back, centre=torch.full((1, 3, 2), 0.5), angle=torch.zeros(1, 3))


def test_pixels_are_finite_float_in_zero_to_one(images: Tensor) -> None:
    assert images.shape == (200, 3, 64, 64)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert images.std() > 0.1


def test_a_picture_is_the_same_alone_and_in_a_batch(scenes: Scenes, images: Tensor) -> None:
    for row in (0, 7, 199):
        assert torch.equal(render(scenes[row : row + 1], resolution=64)[0], images[row])


@pytest.mark.parametrize("fine", [128, 256])
def test_the_same_picture_at_every_resolution(scenes: Scenes, images: Tensor, fine: int) -> None:
    some = scenes[:64]
    error = (avg_pool2d(render(some, resolution=fine), fine // 64) - images[:64]).abs()
    assert error.mean() < 0.004
    assert error.flatten(1).mean(1).max() < 0.02
    assert error.max() < 0.35  # corners thinner than a pixel


@pytest.mark.parametrize("shape", SHAPES)
def test_edges_have_values_between_and_no_more_than_a_pixel_of_them(shape: str) -> None:
    """Coverage of one turned shape: its area is that of a sixteen times finer drawing, and edges ramp."""
    distance = renderer.DISTANCES[SHAPES.index(shape)]

    def drawn(size: int) -> Tensor:
        axis = ((torch.arange(size) + 0.5) / size - 0.5) * 2.6  # 2.6 radii across
        x, y = torch.meshgrid(axis, axis, indexing="xy")
        turn = torch.tensor(0.1)
        return renderer.cover(distance(x * turn.cos() + y * turn.sin(), y * turn.cos() - x * turn.sin()), 2.6 / size)

    inside = drawn(64)
    assert abs(float(inside.mean() / (drawn(1024) > 0.5).float().mean()) - 1) < 0.01
    partly = (inside > 0.02) & (inside < 0.98)
    assert 0.01 < partly.float().mean() < 0.12  # an edge one pixel wide, no blur
    assert inside[partly].mul(16).long().unique().numel() >= 8  # a stair has none
    across = ((inside[:, 1:] - inside[:, :-1]).abs() > 0.97).sum() / partly.sum()
    assert across < 0.2  # hardly anywhere from nothing to all between two neighbours


def test_shapes_stay_within_the_reach_the_layout_counts_on() -> None:
    axis = torch.linspace(-1.5, 1.5, 601)
    x, y = axis.view(1, -1), axis.view(-1, 1)
    for name, distance in zip(SHAPES, renderer.DISTANCES, strict=True):
        inside = distance(x + 0 * y, y + 0 * x) < 0
        extent = torch.maximum(x.abs() + 0 * y, y.abs() + 0 * x)[inside].max()
        assert 0.85 < extent <= REACH + 0.01, name
        assert 0.15 < inside.float().mean() * 9 / 3.1416 < 1.1, name  # area against a disc's


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("material", MATERIALS)
def test_colours_are_as_named_under_every_material(colour: str, material: str) -> None:
    """The median of the inside and of all pixels by vote are nearest to the palette's entry of that name."""
    image = render(one(colour=colour, material=material), resolution=64)[0]
    axis = (torch.arange(64) + 0.5) / 64 - 0.5
    disc = (axis.view(1, -1) ** 2 + axis.view(-1, 1) ** 2).sqrt() < 0.22
    pixels = image[:, disc].T  # (n, 3)
    palette = torch.tensor(PALETTE)
    votes = torch.cdist(pixels, palette).argmin(1).bincount(minlength=len(COLOURS))
    assert COLOURS[int(votes.argmax())] == colour
    assert COLOURS[int(torch.cdist(pixels.median(0).values[None], palette).argmin())] == colour
    if material in ("flat", "shaded"):
        assert COLOURS[int(torch.cdist(pixels.mean(0)[None], palette).argmin())] == colour


def test_named_colours_are_far_apart() -> None:
    palette = torch.tensor(PALETTE)
    assert torch.pdist(palette).min() > 0.3


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_pair_of_materials_looks_different(colour: str, shape: str) -> None:
    pictures = [render(one(colour=colour, material=material, shape=shape), resolution=64) for material in MATERIALS]
    for a in range(4):
        for b in range(a):
            changed = (pictures[a] - pictures[b]).abs().amax(1) > 0.15
            assert changed.sum() > 60, (MATERIALS[a], MATERIALS[b])


def test_every_attribute_of_every_object_changes_pixels_near_it_and_nowhere_far(scenes: Scenes) -> None:
    axis = (torch.arange(64) + 0.5) / 64
    grid = torch.stack([axis.view(1, -1).expand(64, 64), axis.view(-1, 1).expand(64, 64)])
    trio = scenes[scenes.count == 3][:32]
    before = render(trio, resolution=64)
    for slot in range(3):
        distance = (grid - trio.centre[:, slot, :, None, None]).abs().amax(1)
        near = distance < REACH * trio.radius[:, slot, None, None] + 0.08
        for name, values in (("shape", SHAPES), ("colour", COLOURS), ("material", MATERIALS)):
            mutant = getattr(trio, name).clone()
            mutant[:, slot] = (mutant[:, slot] + 1) % len(values)
            changed = (render(replace(trio, **{name: mutant}), resolution=64) - before).abs().amax(1) > 0.1
            assert (changed & near).flatten(1).sum(1).min() >= 8, (name, slot)
            assert not (changed & ~near).any(), (name, slot)


def test_background_attributes_change_the_background_only(scenes: Scenes, images: Tensor) -> None:
    for name, values in (("kind", KINDS), ("tone", TONES)):
        mutant = replace(scenes, **{name: (getattr(scenes, name) + 1) % len(values)})
        changed = (render(mutant, resolution=64) - images).abs().amax(1) > 0.02
        assert changed.flatten(1).float().mean(1).min() > 0.15, name
    flat = one()
    centre = render(flat, resolution=64)[..., 28:36, 28:36]
    for kind in KINDS:
        torch.testing.assert_close(render(one(kind=kind), resolution=64)[..., 28:36, 28:36], centre)


def test_the_front_object_hides_part_of_the_other_but_never_most_of_it() -> None:
    scenes = world.captioned("train", range(1500))
    pair = scenes[(scenes.relation == 2) & (scenes.count == 2)]
    both, behind = render(pair, resolution=64), render(replace(pair, shape=_without(pair.shape, 0)), resolution=64)
    nothing = render(replace(pair, shape=torch.full_like(pair.shape, -1)), resolution=64)
    drawn = (behind - nothing).abs().amax(1) > 0.2
    hidden = drawn & ((both - behind).abs().amax(1) > 0.2)
    share = hidden.flatten(1).sum(1) / drawn.flatten(1).sum(1)
    assert share.min() > 0.03
    assert share.max() < 0.75


def test_a_soft_shadow_falls_to_the_lower_right() -> None:
    scene = one()
    ratio = (render(scene, resolution=128) / render(replace(scene, shape=torch.full_like(scene.shape, -1)), resolution=128))[
        0, 1
    ]
    out = round((0.5 + (float(scene.radius[0, 0]) + 0.016) / 2**0.5) * 128)  # two pixels off the edge, along the diagonal
    assert ratio[out, out] < 0.85
    assert ratio[127 - out, 127 - out] > ratio[out, out] + 0.1
    assert ratio[2, 2] == 1


def _without(shape: Tensor, slot: int) -> Tensor:
    shape = shape.clone()
    shape[:, slot] = -1
    return shape


def test_sizes_show_as_areas() -> None:
    scenes = world.captioned("train", range(1800))
    scenes = scenes[scenes.count == 1]
    single = replace(
        scenes, shape=_all_circles(scenes.shape), colour=torch.zeros_like(scenes.colour), material=0 * scenes.material
    )
    image = render(single, resolution=64)
    area = ((image - torch.tensor(PALETTE[0]).view(1, 3, 1, 1)).abs().amax(1) < 0.02).flatten(1).sum(1)
    ranges = [(area[single.size[:, 0] == size].min(), area[single.size[:, 0] == size].max()) for size in range(len(SIZES))]
    assert ranges[0][1] < 0.85 * ranges[1][0]
    assert ranges[1][1] < 0.85 * ranges[2][0]


def _all_circles(shape: Tensor) -> Tensor:
    return torch.where(shape >= 0, SHAPES.index("circle"), shape)


def test_three_hundred_pictures_a_second_on_one_core(scenes: Scenes) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.process_time()
    render(scenes, resolution=64)
    seconds = time.process_time() - start
    torch.set_num_threads(threads)
    assert len(scenes) / seconds > 300


@cuda
def test_a_gpu_draws_the_same_pictures(scenes: Scenes, images: Tensor) -> None:
    moved = Scenes(**{name: value.cuda() for name, value in vars(scenes).items()})
    there = render(moved, resolution=64).cpu()
    assert (there - images).abs().max() <= 1 / 255


@pytest.mark.parametrize("draw", [world.captioned, world.classes])
def test_painting_every_row_at_once_gives_the_same_pictures(draw: Callable[..., Scenes]) -> None:
    scenes = draw("val", range(96))
    assert (dense(scenes, 32) - sparse(scenes, 32)).abs().max() < 1e-4
    shifted = replace(scenes, shape=(scenes.shape + 1) % 6)
    assert (dense(shifted, 32) - sparse(scenes, 32)).abs().max() > 0.1
