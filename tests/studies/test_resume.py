"""A killed run, started again, ends in the content of a run that was never killed, and computes no finished sample twice."""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sdaccel import samples
from sdaccel.generators.flux.generator import Flux
from sdaccel.records.read import load
from tests.studies.frame import SMALL, forked, run, run_argv

STUDY = (
    "strategy=hicache",
    "strategy.interval=2",
    "generator.num_steps=20",
    "data.per_condition=2",
    "data.batch_size=2",
    "study.keep=[latents]",
)


def _study(output: Path) -> None:
    run(*STUDY, output=output)


def _content(output: Path) -> str:
    (record,) = output.glob("*/record.json")
    return load(record).content_hash


def _finished(output: Path) -> dict[Path, int]:
    """Every finished sample with the time it was written."""
    return {entry.with_suffix(".png"): entry.stat().st_mtime_ns for entry in output.glob("samples/*/0*.json")}


@pytest.fixture(scope="module")
def seconds() -> list[float]:
    """How long an undisturbed run takes, once `whole` has run."""
    return []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, seconds: list[float]) -> str:
    """The content hash of an undisturbed run, computed in a child as all others are."""
    Flux().cost()  # imports the heavy libraries here, once for all children
    output = tmp_path_factory.mktemp("whole")
    start = time.monotonic()
    assert forked(lambda: _study(output)) == 0
    seconds.append(time.monotonic() - start)
    return _content(output)


def _survives(output: Path, whole: str) -> None:
    before = _finished(output)
    assert forked(lambda: _study(output)) == 0
    after = _finished(output)
    assert {path: after[path] for path in before} == before, "a finished sample was computed again"
    assert _content(output) == whole


def _dies_at(call: int, name: str, number: int = signal.SIGKILL) -> Callable[[Path], None]:
    """The study, sent a signal just before the n-th call of os.replace or os.fsync."""

    def body(output: Path) -> None:
        kept, count = getattr(os, name), 0

        def deadly(*args: object) -> object:
            nonlocal count
            count += 1
            if count == call:
                os.kill(os.getpid(), number)
            return kept(*args)

        setattr(samples.os, name, deadly)
        _study(output)

    return body


# 8 samples an arm, two arms, three files a sample: calls 1..48 write samples, 49 what stands beside the record, 50 the record
@pytest.mark.parametrize(
    ("name", "call"),
    [("fsync", 1), ("replace", 2), ("replace", 3), ("fsync", 24), ("replace", 25), ("fsync", 49), ("replace", 50)],
)
def test_killed_inside_a_write_the_run_resumes_to_the_same_content(name: str, call: int, whole: str, tmp_path: Path) -> None:
    status = forked(lambda: _dies_at(call, name)(tmp_path))
    assert os.WIFSIGNALED(status), "the run ended before it was killed"
    assert not list(tmp_path.glob("*/record.json"))
    _survives(tmp_path, whole)


def test_asked_to_end_a_run_ends_at_once_and_resumes(whole: str, tmp_path: Path) -> None:
    """Lightning's own handler would let it run to its end."""
    status = forked(lambda: _dies_at(8, "replace", signal.SIGTERM)(tmp_path))
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGTERM
    assert len(_finished(tmp_path)) <= 8
    _survives(tmp_path, whole)


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.verify)])
def test_killed_at_random_moments_the_run_resumes_to_the_same_content(
    kills: int, whole: str, seconds: list[float], tmp_path: Path
) -> None:
    moments, length, killed = random.Random(0), seconds[0], 0
    for n in range(3 * kills):
        output = tmp_path / str(n)
        status = forked(lambda output=output: _study(output), kill_after=moments.uniform(0.02, 0.9) * length)  # type: ignore[misc]
        _survives(output, whole)
        shutil.rmtree(output)
        killed += os.WIFSIGNALED(status)
        if killed == kills:
            return
        if not os.WIFSIGNALED(status):
            length *= 0.9  # the machine has become faster than it was
    pytest.fail(f"only {killed} of {3 * kills} kills fell inside a run")


def test_a_second_run_generates_nothing_and_agrees(whole: str, tmp_path: Path) -> None:
    assert forked(lambda: _study(tmp_path)) == 0
    _survives(tmp_path, whole)


@pytest.mark.parametrize("lost", [".json", ".png", ".npz"])
def test_a_sample_that_lacks_a_file_is_made_again(lost: str, whole: str, tmp_path: Path) -> None:
    assert forked(lambda: _study(tmp_path)) == 0
    victim = sorted(tmp_path.glob("samples/*/000003.json"))[0]
    victim.with_suffix(lost).unlink()
    (victim.parent / "notes.json").write_text("{}")
    assert forked(lambda: _study(tmp_path)) == 0
    assert _content(tmp_path) == whole


def test_a_full_disk_gives_a_message_and_loses_nothing(whole: str, tmp_path: Path) -> None:
    if os.system(f"mount -t tmpfs -o size=200k tmpfs {tmp_path} 2>/dev/null"):
        pytest.skip("mounting a small file system needs root")
    try:
        argv = [*SMALL, *STUDY, f"output={tmp_path}"]
        message = tmp_path.parent / "message"

        def body() -> None:
            with open(message, "w") as sys.stderr:
                code = run_argv(argv)
            os._exit(code)

        assert os.waitstatus_to_exitcode(forked(body)) == 2
        assert "No space left" in message.read_text()
        assert 0 < len(_finished(tmp_path)) < 16
        assert os.system(f"mount -o remount,size=64m {tmp_path}") == 0
        _survives(tmp_path, whole)
    finally:
        os.system(f"umount {tmp_path}")
