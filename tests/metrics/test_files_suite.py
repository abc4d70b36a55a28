"""The suite of published networks, with small ones in their place: all its metrics from a folder of reference images."""

import io
import itertools
import json
import warnings
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.errors import BadInput
from sdaccel.metrics import backbones, distribution
from sdaccel.metrics.pictures import Pictures, files_in, of_files
from sdaccel.metrics.reference import check_reference, identity_of, pictures_of
from sdaccel.metrics.suite import measure
from sdaccel.metrics.suites.files import Files
from tests.metrics.test_backbones import FakeInception
from tests.metrics.tiny import images, usual_clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """inception, lpips, an open_clip folder with the usual vocabulary, and twelve pictures."""
    from torchvision.models import alexnet

    root = tmp_path_factory.mktemp("files")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(FakeInception()).save(root / backbones.INCEPTION.file)
    torch.save(
        {f"features.{k}": v for k, v in alexnet(weights=None).features.state_dict().items()}, root / backbones.LPIPS.file
    )
    usual_clip(root / "clip")
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


def test_prompts_have_a_clip_score_without_reference_pictures_and_labels_have_nothing(folder: Path, tmp_path: Path) -> None:
    suite, prompts = Files(clip=str(folder / "clip")), [f"a cat number {i}" for i in range(12)]
    suite.check(prompts)
    pixels = list(images(12, side=70).permute(0, 2, 3, 1).numpy())
    scorers = suite.scorers(prompts, size=70, device=torch.device("cpu"), cache=tmp_path)
    found = measure(scorers, [Pictures("base", "base", lambda: pixels)])["base"]
    assert set(found.aggregates) == {"clip_score"} == set(suite.names(prompts)) - {"psnr", "ssim"}
    with pytest.raises(BadInput, match=r"metrics\.reference is missing"):
        suite.check([0, 1])


def test_a_metric_is_measured_or_what_it_lacks_is_named() -> None:
    """Of every choice of files and conditions."""
    options = {"inception": "i", "clip": "c", "lpips": "l", "reference": "r"}
    groups = {"fid": "FID", "inception_score": "inception score", "cmmd": "CMMD", "clip_score": "CLIP", "perceptual": "LPIPS"}
    for given in itertools.product([False, True], repeat=4):
        suite = Files(**{name: value for (name, value), there in zip(options.items(), given, strict=True) if there})
        for conditions in ([0, 1], ["a cat", "a dog"]):
            names, lacking = suite.names(conditions), " ".join(suite.lacking(conditions))
            assert all((metric in names) != (group in lacking) for metric, group in groups.items()), (suite, lacking)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_pictures_of_an_npz_are_those_of_a_folder(save: Any, folder: Path, tmp_path: Path) -> None:
    own = list(pictures_of(folder / "real"))
    save(tmp_path / "adm.npz", arr_0=np.stack(own), mu=np.zeros(3), sigma=np.eye(3))
    check_reference(tmp_path / "adm.npz")
    assert all(np.array_equal(a, b) for a, b in zip(pictures_of(tmp_path / "adm.npz"), own, strict=True))
    assert identity_of(tmp_path / "adm.npz") != identity_of(folder / "real")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"mu": np.zeros(3), "sigma": np.eye(3)}, "statistics alone"),
        ({"pictures": np.zeros((2, 8, 8, 3), np.uint8)}, "no arr_0"),
        ({"arr_0": np.zeros((2, 8, 8, 3))}, "float64"),
        ({"arr_0": np.zeros((2, 3, 8, 8), np.uint8)}, "no set of two or more RGB pictures"),
        ({"arr_0": np.array([None] * 4)}, "object"),
    ],
)
def test_an_npz_without_pictures_is_refused_in_one_line(arrays: dict[str, Any], words: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput, match=words) as caught:
        check_reference(tmp_path / "a.npz")
    assert "\n" not in str(caught.value) and "give a folder of images" in str(caught.value)


def test_a_damaged_or_short_npz_is_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"PK no archive")
    with pytest.raises(BadInput, match="cannot be read"):
        check_reference(tmp_path / "a.npz")
    array = io.BytesIO()
    np.save(array, np.zeros((3, 8, 8, 3), np.uint8))
    with ZipFile(tmp_path / "b.npz", "w") as zipped:
        zipped.writestr("arr_0.npy", array.getvalue()[:-1])
    with pytest.raises(BadInput, match="not as many bytes"):
        check_reference(tmp_path / "b.npz")


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
