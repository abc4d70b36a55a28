"""Laws of folders of pictures that were made elsewhere: they are measured as a study measures its arms."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdaccel.cli import compare
from sdaccel.cli.verify import main as verify
from sdaccel.records.read import load
from sdaccel.records.view import Record
from tests.metrics.tiny import usual_clip
from tests.reporting.test_page import Tags

ARMS = ("target", "draft")


def compared(*argv: str, output: Path) -> Record:
    """The record that a command line ends in."""
    assert compare.main([*argv, "--output", str(output)]) == 0
    (path,) = output.glob("*/record.json")
    assert (path.parent / "index.html").is_file()
    return load(path)


@pytest.fixture(scope="module")
def study(measured: Path) -> Record:
    return load(measured / "record.json")


@pytest.fixture(scope="module")
def dirs(study: Record, measured: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Pictures of two arms, as a user would have them: in folders, under file names alone."""
    place = tmp_path_factory.mktemp("elsewhere")
    for name in ARMS:
        source = measured.parent / "samples" / study.folders[name]
        shutil.copytree(source, place / name, ignore=lambda folder, names: [n for n in names if not n.endswith(".png")])
    return [f"{name}={place / name}" for name in ARMS]


def test_two_folders_of_our_pictures_have_the_figures_of_the_study_that_made_them(
    study: Record, dirs: list[str], clip: Path, tmp_path: Path
) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(map(str, study.conditions)))
    found = compared("--dirs", *dirs, "--labels", str(labels), "metrics=world", f"metrics.clip={clip}", output=tmp_path / "out")
    for name in ARMS:
        ours, theirs = found.arms[name], study.arms[name]
        assert ours.metrics == theirs.metrics and len(ours.metrics) > 10
        assert ours.values == theirs.values and ours.values
        assert ours.paired == theirs.paired
        assert [sample.image for sample in ours.samples] == [sample.image for sample in theirs.samples]


def test_without_networks_pixels_are_compared_and_the_rest_is_named_with_what_it_lacks(dirs: list[str], tmp_path: Path) -> None:
    found = compared("--dirs", *dirs, output=tmp_path)
    assert set(found.arms["draft"].metrics) == {"psnr", "ssim"}
    (page,) = tmp_path.glob("target-draft-*/index.html")
    text = page.read_text()
    for what, need in (("FID, KID", "metrics.reference=FOLDER"), ("CLIP score", "--prompts FILE"), ("LPIPS", "metrics.lpips=")):
        (line,) = [line for line in text.split("<li>") if f"Not measured: {what}" in line or f"the {what}, which" in line]
        assert need in line
    assert "How far are the pictures of draft from those of target?" in text
    assert len([slider for slider in Tags(page).all("input") if slider["type"] == "range"]) == 4


def test_a_clip_score_needs_prompts_and_no_reference(
    dirs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = usual_clip(tmp_path / "clip")
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(f"a red ring number {i}" for i in range(24)))
    asked = ("--dirs", *dirs, "--prompts", str(prompts), f"metrics.clip={clip}")
    found = compared(*asked, output=tmp_path / "out")
    assert found.arms["target"].estimate("clip_score") is not None
    assert len(found.arms["target"].values["clip_score"]) == 24
    assert set(found.content["lacking"]) == {"FID, KID, precision and recall", "the inception score", "CMMD", "LPIPS"}
    again = compared(*asked, output=tmp_path / "out")
    assert again == found, "and the same once more"
    assert verify([str(next((tmp_path / "out").glob("*/record.json")))]) == 2
    assert "score them once more: python experiments/compare.py --dirs" in capsys.readouterr().err


def picture(path: Path, *, side: int = 8) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), 7, np.uint8)).save(path)


def wrong(tmp_path: Path) -> dict[str, tuple[list[str], str]]:
    """Name -> a command line and words of the sentence that refuses it."""
    for name in ("a", "b", "fewer", "larger", "broken", "cut"):
        for i in range(2 if name != "fewer" else 1):
            picture(tmp_path / name / f"{i}.png", side=16 if name == "larger" else 8)
    (tmp_path / "broken" / "1.png").write_bytes(b"no picture")
    whole = (tmp_path / "a" / "1.png").read_bytes()
    (tmp_path / "cut" / "1.png").write_bytes(whole[: len(whole) - 30])
    (tmp_path / "empty").mkdir()
    (tmp_path / "short.txt").write_text("one prompt\n")
    (tmp_path / "words.txt").write_text("one\ntwo\n")

    def dirs(*names: str) -> list[str]:
        return ["--dirs", *(f"{name}={tmp_path / name}" for name in names)]

    return {
        "unpaired": (dirs("a", "fewer"), "folder fewer has no picture 1 of folder a"),
        "sizes": (dirs("a", "larger"), "16 x 16 pixels and"),
        "broken": (dirs("a", "broken"), "1.png cannot be read"),
        "cut": (dirs("a", "cut"), "1.png cannot be read"),
        "empty": (dirs("a", "empty"), "holds no picture"),
        "absent": (dirs("a", "absent"), "is no readable folder"),
        "one": (dirs("a"), "names 1 folders"),
        "no_name": (["--dirs", str(tmp_path / "a"), str(tmp_path / "b")], "is not NAME=FOLDER"),
        "prompts": ([*dirs("a", "b"), "--prompts", str(tmp_path / "short.txt")], "has 1 lines for 2 pictures"),
        "labels": ([*dirs("a", "b"), "--labels", str(tmp_path / "words.txt")], "is no label"),
        "unknown": ([*dirs("a", "b"), "metrics=world"], "--labels FILE or --prompts FILE"),
        "metric": ([*dirs("a", "b"), "metrics=wrld"], "metrics/wrld"),
        "alone": (["--prompts", str(tmp_path / "short.txt")], "belong to folders"),
        "nothing": ([], "name two or more"),
    }


def test_what_cannot_be_compared_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, (argv, words) in wrong(tmp_path).items():
        assert compare.main([*argv, "--output", str(tmp_path / "out")]) == 2, name
        said = capsys.readouterr()
        assert words in said.err and said.err.count("\n") == 1, (name, said.err)
        assert not list((tmp_path / "out").glob("*/record.json")), name


def test_an_output_that_cannot_be_written_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for name in ("a", "b"):
        picture(tmp_path / name / "0.png")
    argv = ["--dirs", *(f"{name}={tmp_path / name}" for name in "ab"), "--output", str(tmp_path / "file" / "runs")]
    assert compare.main(argv) == 2
    assert "cannot be written" in (said := capsys.readouterr().err) and said.count("\n") == 1
