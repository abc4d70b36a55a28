"""Every option that takes a path, given files that nobody wrote for it: one line, exit 2, nothing built, nothing read whole."""

import copy
import json
import os
import pickle
import shutil
import struct
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig
from PIL import Image
from safetensors.torch import save

import sdaccel.torchvision_guard  # noqa: F401
from sdaccel.cli import bench, promote, report, verify, zoo
from sdaccel.compat import hicache
from sdaccel.generators.flux.generator import Flux
from sdaccel.generators.var.generator import Var
from sdaccel.studies import compose
from sdaccel.user_files import LARGEST
from sdaccel.weight_files import OLD_FORM
from tests.conftest import CONF
from tests.studies.frame import run_argv

SHIPPED = CONF.parent / "sdaccel" / "weights"
VAR = ("generator=var_mini",)
FLUX = ("generator=flux_mini", "data=world_captions", "data.limit=1")
FILES = ("generator=var_mini", "metrics=files")
SHALLOW = ("generator.doubles=1", "generator.singles=1")

OPTIONS: dict[str, tuple[str, ...]] = {
    "data.prompt_file={file}": (),
    "data.prompt_file={file}.csv": (),
    "data.prompt_file={file}.tsv": (),
    "data.prompt_file={file}.jsonl": (),
    "generator.weights={file}": VAR,
    "generator.weights={file}.safetensors": VAR,
    "generator.vae_weights={file}": VAR,
    "generator.vae_weights={file}.safetensors": ("generator=world_classes_reconstructed",),
    "generator.weights={file}.pt": FLUX,
    "generator.vae_weights={file}.pth": FLUX,
    "generator.text_weights={folder}/clip": FLUX,
    "generator.text_weights={file}": FLUX,
    "generator.weights={file}.sft": ("generator=flux_dev", *SHALLOW),
    "generator.weights={folder}/flux": ("generator=flux_schnell", *SHALLOW),
    "metrics.inception={file}": (*FILES, "metrics.reference={good}/pictures"),
    "metrics.lpips={file}": FILES,
    "metrics.clip={folder}/clip": (*FILES, "metrics.reference={good}/pictures"),
    "metrics.clip={folder}/weights": ("generator=world_classes", "metrics=world", "data=world_classes", "data.limit=2"),
    "metrics.reference={folder}/pictures": (*FILES, "metrics.inception={good}/none"),
    "metrics.reference={file}.npz": (*FILES, "metrics.inception={good}/none"),
    "hydra.searchpath=[file://{folder}/conf]": ("+exp=given",),
}
"""The option that takes a path, and what the study needs beside it."""
PLACES = (
    *("{file}" + suffix for suffix in ("", ".csv", ".tsv", ".jsonl", ".safetensors", ".pt", ".pth", ".sft", ".npz")),
    *("{folder}/clip/open_clip_config.json", "{folder}/clip/open_clip_model.safetensors"),
    *("{folder}/flux/transformer/config.json", "{folder}/flux/transformer/diffusion_pytorch_model.safetensors.index.json"),
    *("{folder}/weights/open_clip_model.safetensors", "{folder}/conf/exp/given.yaml"),
    *("{folder}/pictures/a.png", "{folder}/pictures/b.jpg"),
)
"""Where the bytes are put, so that whatever an option reads first is they."""
OTHER = {"other": torch.zeros(2, 3)}


def pickled(value: Any, protocol: int) -> bytes:
    return pickle.dumps(value, protocol=protocol)


def zipped(value: Any, **options: Any) -> bytes:
    """As torch.save writes it."""
    with tempfile.TemporaryFile() as file:
        torch.save(value, file, **options)
        file.seek(0)
        return file.read()


def cut(data: bytes) -> st.SearchStrategy[bytes]:
    """The beginning of a real file."""
    return st.integers(1, len(data) - 1).map(lambda end: data[:end])


SENSELESS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=9))
TREES = st.recursive(
    SENSELESS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
HEADERS = TREES.map(lambda tree: json.dumps(tree).encode()).map(lambda text: struct.pack("<Q", len(text)) + text)
FOREIGN = (
    save(OTHER),
    zipped(OTHER),
    zipped(OTHER, _use_new_zipfile_serialization=False),
    *(zipped({5: "a"}, pickle_protocol=protocol) for protocol in range(2, 6)),
    (SHIPPED / "judge_mini.safetensors").read_bytes(),
)
"""Sound files of another model or of none."""
CONTENTS = st.one_of(
    st.binary(max_size=64).map(lambda data: b"\xff" + data),
    st.binary(max_size=64).map(lambda data: OLD_FORM + data),
    st.integers(0, 0x10FFFF).filter(lambda i: not 0xD800 <= i < 0xE000).map(lambda i: (chr(i) + "\0text").encode()),
    TREES.map(lambda tree: b"\0" + json.dumps(tree).encode()),
    st.builds(pickled, TREES, st.integers(0, 5)).map(lambda data: data + b"\xff"),
    HEADERS.map(lambda data: data + b"\xff"),
    st.sampled_from(FOREIGN),
    *(cut(data) for data in FOREIGN),
    st.sampled_from(
        [b"", b"\0" * 100, b"[" * 10**5 + b"\xff", b"PK\x03\x04" + b"\xff" * 40, b"\x89PNG\r\n\x1a\n" + b"\xff" * 40]
    ),
)
KINDS = ("file", "file", "file", "file", "file", "missing", "folder", "pipe", "closed", "huge", "long")
"""What stands at the place; mostly a file with bytes."""


def put(kind: str, content: bytes, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if kind in ("file", "closed", "huge"):
        place.write_bytes(content)
    if kind == "closed":
        place.chmod(0)  # the superuser reads it all the same, and finds bytes
    if kind == "huge":
        os.truncate(place, 2**33)
    if kind == "folder":
        place.mkdir()
    if kind == "pipe":
        os.mkfifo(place)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is right beside the hostile files."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "pictures").mkdir()
    for name in "ab":
        Image.new("RGB", (8, 8)).save(folder / "pictures" / f"{name}.png")
    return folder


COMPOSED: dict[tuple[str, ...], DictConfig] = {}


def remembered(name: str, overrides: list[str]) -> DictConfig:
    """Hydra's composition, which does not read the hostile files and takes most of a case's time, once per command."""
    key = (name, *overrides)
    if any("searchpath" in override for override in overrides):
        return hydra.compose(name, overrides=overrides)
    if key not in COMPOSED:
        COMPOSED[key] = hydra.compose(name, overrides=overrides)
    return copy.deepcopy(COMPOSED[key]) if name == "config" else COMPOSED[key]


@pytest.fixture(autouse=True)
def _nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*args: object) -> None:
        raise AssertionError("a model was built")

    monkeypatch.setattr(Flux, "build", refuse)
    monkeypatch.setattr(Var, "build", refuse)
    monkeypatch.setattr(compose, "compose", remembered)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def refused(argv: list[str], capfd: pytest.CaptureFixture[str], command: Callable[[list[str]], int] = run_argv) -> str:
    """The one line; the descriptors are read, so that libraries' own lines count."""
    capfd.readouterr()
    assert command(argv) == 2, argv
    said = capfd.readouterr().err
    assert len(said.splitlines()) == 1 and "Traceback" not in said, said
    return said


@settings(
    max_examples=140,  # with the 60 of the other scripts, 200
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # a case says what it is without being made smaller, which takes minutes
    suppress_health_check=list(HealthCheck),
)
@given(option=st.sampled_from(sorted(OPTIONS)), kind=st.sampled_from(KINDS), content=CONTENTS)
def test_a_hostile_file_is_one_line_and_exit_2(
    option: str, kind: str, content: bytes, good: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = str(good / "given")
    try:
        names = {"file": f"{folder}/given", "folder": folder, "good": str(good)}
        for place in PLACES:
            put(kind, content, Path(place.format(**names)))
        (Path(folder) / "weights").mkdir(exist_ok=True)
        (Path(folder) / "weights" / "open_clip_config.json").write_bytes(
            (SHIPPED / "clip_mini" / "open_clip_config.json").read_bytes()
        )
        argv = [argument.format(**names) for argument in (*OPTIONS[option], option)]
        if kind == "long" and option.startswith(("data", "generator", "metrics")):
            argv[-1] += "x" * 5000
        refused([*argv, f"output={folder}/runs"], capfd)
    finally:
        shutil.rmtree(folder)


@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(script=st.sampled_from(["launcher", "promote", "verify"]), kind=st.sampled_from(KINDS[:-1]), content=CONTENTS)
def test_a_hostile_file_of_another_script_is_one_line_and_exit_2(
    script: str, kind: str, content: bytes, good: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = good / "other"
    put(kind, content, file)
    try:
        with monkeypatch.context() as patched:
            mains = {"launcher": lambda argv: hicache.main(), "promote": promote.main, "verify": verify.main}
            before = ["--backend", "chipmunk", "--mode", "chipmunk", "--chipmunk_config"] if script == "launcher" else []
            patched.setattr("sys.argv", [script, *before, str(file)])
            refused([str(file)], capfd, mains[script])
    finally:
        shutil.rmtree(file) if file.is_dir() else file.unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("main", "argv", "says"),
    [
        (promote.main, [], "usage: "),
        (verify.main, [], "usage: "),
        (report.main, ["nope"], "usage: "),
        (report.main, ["--reports", "/nonexistent"], "/nonexistent holds no record to report"),
        (promote.main, ["**x"], "matches nothing"),
        (verify.main, ["--samples", "0", "x"], "samples=0 must be at least 1"),
    ],
)
def test_wrong_arguments_are_one_line_with_usage(
    main: Callable[[list[str]], int], argv: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert says in refused(argv, capfd, main)


def test_help_shows_usage_and_choices(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["script", "--help"])
    mains = (bench.main, "var_engine"), (zoo.main, "judge_mini"), (lambda argv: hicache.main(), "HiCache")
    for main, word in mains:
        assert main(["--help"]) == 0
        said = capsys.readouterr().out
        assert said.startswith("usage: ") and word in said


def test_a_prompt_file_of_some_gigabytes_is_not_read(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    put("huge", b"a cat", tmp_path / "prompts.txt")
    said = refused([f"data.prompt_file={tmp_path / 'prompts.txt'}", f"output={tmp_path}"], capfd)
    assert f"{LARGEST / 2**20:.0f} are read at most" in said


def test_half_a_character_is_no_prompt(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "\\ud800"}')
    assert "half a character" in refused([f"data.prompt_file={tmp_path / 'prompts.jsonl'}", f"output={tmp_path}"], capfd)


def test_an_output_whose_name_is_too_long_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    assert "cannot be written" in refused([f"output={'x' * 5000}"], capfd)
