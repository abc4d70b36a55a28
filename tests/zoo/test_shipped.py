"""The weights that ship do what they are for, on scenes that training never drew."""

import torch

from sdaccel import world
from sdaccel.metrics.judge import RESOLUTION, Judge
from sdaccel.shipped import FOLDER, restore
from sdaccel.world.attributes import FIELDS
from sdaccel.world.render import render
from sdaccel.zoo.judge import accuracy

MIB = 2**20
BUDGET = {"judge_mini": 1}


def test_every_shipped_file_is_within_its_budget() -> None:
    sizes = {path.stem: path.stat().st_size / MIB for path in FOLDER.glob("*.safetensors")}
    assert sizes.keys() == BUDGET.keys()
    assert all(size <= BUDGET[name] for name, size in sizes.items()), sizes


def test_the_judge_reads_test_scenes() -> None:
    judge = restore("judge_mini", Judge())
    found = accuracy(judge, count=256, device=torch.device("cpu"))
    assert sum(found.values()) / len(found) >= 0.97
    assert min(found.values()) >= 0.9


def test_the_judge_looks_at_the_picture() -> None:
    """Judged by the facts of other scenes it is near chance."""
    judge, scenes = restore("judge_mini", Judge()), world.captioned("test", range(256))
    given = judge.attributes(render(scenes, resolution=RESOLUTION))  # type: ignore[operator]
    facts = scenes.facts.roll(1, 0)
    assert (given == facts)[facts >= 0].float().mean() < 1.5 / min(FIELDS.values())
