"""Laws of finished samples: whole or absent, found again only under their own condition, and exact."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sdaccel.samples import Samples, array_digest, atomic_write, canonical, digest

FULL_DISK = """
import resource, sys
from pathlib import Path
from sdaccel.samples import atomic_write
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    {write}
except OSError:
    sys.exit(7)
"""
PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
CONDITIONS: list[int | str] = ["a cat", 3, "ein grüner Hund"]


def write_100_kB_onto_a_full_disk(path: Path, write: str) -> int:
    """The exit code of a process whose files may not grow beyond 4 KiB: 7 where the failure was reported."""
    code = FULL_DISK.format(write=write.format(path=str(path)))
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


@pytest.mark.parametrize("old", [b"old content", None], ids=["replaces", "new"])
def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(old: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "000000.json"
    if old is not None:
        path.write_bytes(old)
    assert write_100_kB_onto_a_full_disk(path, "atomic_write(Path({path!r}), b'x' * 100_000)") == 7
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == ({} if old is None else {path.name: old})


def test_the_full_disk_catches_a_plain_write(tmp_path: Path) -> None:
    path = tmp_path / "000000.json"
    path.write_bytes(b"old content")
    assert write_100_kB_onto_a_full_disk(path, "Path({path!r}).write_bytes(b'x' * 100_000)") == 7
    assert path.read_bytes() != b"old content"


def test_a_write_leaves_the_new_content_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"first", b"second"):
        atomic_write(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_into_a_folder_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic_write(tmp_path / "gone" / "a", b"x")


def write(samples: Samples, index: int, condition: int | str, **arrays: np.ndarray) -> None:
    samples.write(index, condition=condition, image=PIXELS, kinds=["full", "forecast"], arrays=arrays)


def test_pixels_survive_exactly(tmp_path: Path) -> None:
    samples = Samples(tmp_path / "deep" / "folder")
    write(samples, 0, "a cat")
    with Image.open(samples.image(0)) as image:
        assert np.array_equal(np.asarray(image), PIXELS)
    assert samples.entry(0)["image"] == digest(PIXELS.tobytes())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_arrays_survive_exactly(dtype: type, tmp_path: Path) -> None:
    samples = Samples(tmp_path)
    array: np.ndarray = np.random.default_rng(1).normal(size=(3, 4)).astype(dtype)
    write(samples, 2, 3, latents=array.T, nan=np.array([np.nan]))
    kept = samples.array(2, "latents")
    assert kept.dtype == dtype and np.array_equal(kept, array.T)
    assert np.isnan(samples.array(2, "nan")).all()
    assert samples.entry(2)["arrays"]["latents"] == array_digest(array.T.copy()), "a view has its own values' hash"


def test_an_entry_says_what_was_made(tmp_path: Path) -> None:
    write(Samples(tmp_path), 1, "ein grüner Hund")
    entry = Samples(tmp_path).entry(1)
    assert (entry["index"], entry["condition"]) == (1, "ein grüner Hund")
    assert (entry["kinds"], entry["arrays"]) == (["full", "forecast"], {})


def test_one_changed_value_changes_the_hash(tmp_path: Path) -> None:
    samples, changed = Samples(tmp_path), PIXELS.copy()
    changed[5, 4, 2] ^= 1
    for index, image in enumerate((PIXELS, changed)):
        samples.write(index, condition=0, image=image, kinds=[], arrays={"a": image.astype(np.float32)})
    assert samples.entry(0)["image"] != samples.entry(1)["image"]
    assert samples.entry(0)["arrays"] != samples.entry(1)["arrays"]


def test_done_holds_the_samples_whose_condition_is_still_theirs(tmp_path: Path) -> None:
    samples = Samples(tmp_path / "arm")
    assert samples.done(CONDITIONS) == set()
    for index, condition in enumerate(CONDITIONS):
        write(samples, index, condition)
    assert samples.done(CONDITIONS) == {0, 1, 2}
    assert samples.done(CONDITIONS[:2]) == {0, 1}
    assert samples.done(["a cat", "3", "another dog"]) == {0}, "the label 3 is not the prompt '3'"


def test_a_sample_killed_before_its_last_file_is_not_done(tmp_path: Path) -> None:
    """Picture and arrays come first, and a kill inside the last write leaves its half-written neighbour."""
    samples = Samples(tmp_path)
    write(samples, 0, "a cat", latents=np.zeros(2))
    (tmp_path / "000000.json").rename(tmp_path / ".000000.json.4242")
    assert samples.done(CONDITIONS) == set()


def test_the_canonical_text_depends_on_the_value_alone() -> None:
    assert canonical({"b": 1, "a": [1.5, "ü"]}) == canonical({"a": [1.5, "ü"], "b": 1}) == '{"a":[1.5,"ü"],"b":1}'.encode()
    assert json.loads(canonical({"x": 0.1 + 0.2})) == {"x": 0.1 + 0.2}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_have_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"x": value})


def test_equal_bytes_of_another_shape_or_type_have_another_hash() -> None:
    array = np.arange(6, dtype=np.int32)
    assert len({array_digest(a) for a in (array, array.reshape(2, 3), array.reshape(3, 2), array.view(np.float32))}) == 4
