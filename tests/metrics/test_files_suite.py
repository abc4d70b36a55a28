"""The suite of published networks, with small ones in their place: all its metrics from a folder of reference images."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_model

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.errors import BadInput
from sdaccel.metrics import backbones, distribution
from sdaccel.metrics.pictures import Pictures, files_in, of_files
from sdaccel.metrics.suite import measure
from sdaccel.metrics.suites.files import Files
from tests.metrics.test_backbones import FakeInception
from tests.metrics.tiny import TEXT, VISION, images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """inception, lpips, an open_clip folder with the usual vocabulary, and twelve pictures."""
    import open_clip
    from torchvision.models import alexnet

    root = tmp_path_factory.mktemp("files")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(FakeInception()).save(root / backbones.INCEPTION.file)
    torch.save(
        {f"features.{k}": v for k, v in alexnet(weights=None).features.state_dict().items()}, root / backbones.LPIPS.file
    )
    text = TEXT | {"vocab_size": 49408}
    config: dict[str, Any] = {"model_cfg": {"embed_dim": 32, "vision_cfg": VISION, "text_cfg": text}}
    config["preprocess_cfg"] = {"mean": [0.5] * 3, "std": [0.5] * 3}
    (root / "clip").mkdir()
    (root / "clip" / "open_clip_config.json").write_text(json.dumps(config))
    save_model(open_clip.CLIP(32, VISION, text), str(root / "clip" / "open_clip_model.safetensors"))
    (root / "real").mkdir()
    for i, image in enumerate(images(12, side=70, seed=9).permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(root / "real" / f"{i:02d}.png")
    return root


@pytest.fixture
def suite(folder: Path) -> Files:
    return Files(inception=str(folder), clip=str(folder / "clip"), lpips=str(folder), reference=str(folder / "real"))


@pytest.mark.parametrize("kind", ["labels", "prompts"])
def test_every_metric_it_names_is_measured(suite: Files, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "fid", lambda x, y: 0.5)  # decompositions of 2048 features take a while
    conditions: list[int | str] = [i if kind == "labels" else f"a cat number {i}" for i in range(12)]
    suite.check(conditions)
    arms = []
    for name, against in (("base", None), ("other", "base")):
        pixels = list(images(12, side=70, seed=len(name)).permute(0, 2, 3, 1).numpy())
        arms.append(Pictures(name, name, lambda pixels=pixels: pixels, against, paired=True))  # type: ignore[misc]
    found = measure(suite.scorers(conditions, size=70, device=torch.device("cpu"), cache=tmp_path), arms)
    assert set(found["other"].aggregates) == set(suite.names(conditions))
    assert all(a.estimate is not None or a.note for a in found["other"].aggregates.values())
    assert found["other"].aggregates["perceptual"].low is not None
    assert ("clip_score" in found["base"].values) == (kind == "prompts")


def test_its_identity_is_of_contents_and_not_of_places(suite: Files, folder: Path) -> None:
    before = suite.identity()
    assert str(folder) not in json.dumps(before)
    extra = folder / "real" / "zz.png"
    Image.new("RGB", (8, 8)).save(extra)
    try:
        assert suite.identity()["reference"] != before["reference"]
    finally:
        extra.unlink()
    assert suite.identity() == before


def test_reference_images_of_any_mode_are_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    Image.new("L", (9, 8), 7).save(tmp_path / "a.png")
    Image.new("RGBA", (9, 8)).save(tmp_path / "b.png")
    assert [image.shape for image in of_files(files_in(tmp_path))] == [(8, 9, 3)] * 2
    assert np.all(next(of_files(files_in(tmp_path))) == 7)
    (tmp_path / "c.png").write_bytes(b"no picture")
    with pytest.raises(BadInput, match=r"c\.png cannot be read"):
        list(of_files(files_in(tmp_path)))
