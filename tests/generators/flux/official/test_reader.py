"""Laws of kept embeddings: what is read from disk is what was computed, and the encoders are gone when they are not needed."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sdaccel.conditions import Batch
from sdaccel.generators.flux.official.encoders import Encoders
from sdaccel.generators.flux.official.generator import OfficialRuntime
from sdaccel.generators.kept_text import Pair, PromptReader
from sdaccel.strategies.plain import Dense, Original
from tests.generators.flux.official.published import PROMPTS
from tests.generators.flux.official.test_pipeline import Published, generate
from tests.generators.flux.tiny import CPU, same

GUIDED: dict[str, Any] = {"true_cfg": 2.0, "negative_prompt": "a dog"}


def runtime(dev: Published, **options: Any) -> OfficialRuntime:
    built = replace(dev[0], **options).build(CPU)
    assert isinstance(built, OfficialRuntime)
    return built


def painted(built: OfficialRuntime) -> Any:
    wanted = Batch(PROMPTS, torch.arange(2), {0: 0, 1: 1})
    return built.generate(wanted, backend=Dense(), strategy=Original(), keep=["latents"])


def no_encoders() -> Any:
    raise AssertionError("every embedding is known")


def test_embeddings_from_disk_paint_the_same_without_encoders(dev: Published, tmp_path: Path) -> None:
    runtime(dev, **GUIDED).prepare(PROMPTS, cache=tmp_path / "text")
    assert len(list((tmp_path / "text").iterdir())) == len(PROMPTS) + 1, "the negative prompt is read too"
    later = runtime(dev, **GUIDED)
    later.prompts.encoders = no_encoders
    later.prepare(PROMPTS, cache=tmp_path / "text")
    assert same(painted(later), generate(replace(dev[0], **GUIDED)))


def test_encoders_are_let_go_before_the_first_picture(dev: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Encoders]] = []
    first = Encoders.__init__

    def watched(self: Encoders, *args: Any, **options: Any) -> None:
        first(self, *args, **options)
        made.append(weakref.ref(self))

    monkeypatch.setattr(Encoders, "__init__", watched)
    built = runtime(dev)
    built.prepare(PROMPTS, cache=tmp_path)
    gc.collect()
    assert len(made) == 1 and made[0]() is None
    assert not [name for name, _ in built.named_parameters() if "encoder.block" in name]


def test_a_prompt_s_embedding_does_not_depend_on_its_company(dev: Published, tmp_path: Path) -> None:
    alone, together = (runtime(dev).prompts for _ in range(2))
    together.prepare(PROMPTS, folder=tmp_path)
    pairs = zip(alone.read(PROMPTS[1:]), together.read(PROMPTS), strict=True)
    assert all(torch.equal(one[0], both[1]) for one, both in pairs)


@pytest.mark.parametrize("changed", [{"text_tokens": 28}, {"dtype": "bfloat16"}])
def test_other_encoding_is_kept_under_another_name(changed: dict[str, Any], dev: Published, tmp_path: Path) -> None:
    for options in ({}, changed):
        runtime(dev, **options).prompts.prepare(PROMPTS[:1], folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_file_is_computed_anew(tmp_path: Path) -> None:
    counted: list[str] = []

    def encode(prompt: str) -> Pair:
        counted.append(prompt)
        return torch.full((2, 3), float(len(prompt))), torch.ones(4)

    def read() -> Pair:
        reader = PromptReader(lambda: encode, key="k")
        reader.prepare(["a", "bb", "a"], folder=tmp_path)
        return reader.read(["bb", "a"])

    before = read()
    assert counted == ["a", "bb"] and before[0][:, 0, 0].tolist() == [2.0, 1.0]
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:20])
    assert torch.equal(read()[0], before[0])
    assert counted == ["a", "bb", "a", "bb"]
