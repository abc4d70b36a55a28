"""The bits of a sample depend on the batch shape, and on nothing else that runs beside it."""

import time
from pathlib import Path

import numpy as np
import pytest

from sdaccel.records.read import load
from sdaccel.samples import Samples
from tests import fresh
from tests.conftest import ROOT
from tests.studies.frame import SMALL, plan, run, verified

RUN = str(ROOT / "experiments" / "run.py")
GENERATORS = {
    "flux": ["generator=flux_tiny", "strategy=hicache", "strategy.interval=2", *SMALL, "study.keep=[latents]"],
    "hart": ["generator=hart_tiny", "study.timing.repeats=0", "study.keep=[tokens,f_hat]"],
    "var": ["generator=var_tiny", "study.timing.repeats=0", "study.keep=[tokens,f_hat]"],
}

SLOW = {"hart": pytest.mark.verify}
"""Another generator on the loop of one of the others."""


def _entries(output: Path, count: int) -> dict[str, list[tuple[str, dict[str, str]]]]:
    """Arm folder -> image and array hashes per sample."""
    out = {}
    for folder in sorted((output / "samples").iterdir()):
        entries = [Samples(folder).entry(i) for i in range(count)]
        out[folder.name] = [(entry["image"], entry["arrays"]) for entry in entries]
    return out


def _run(output: Path, *overrides: str) -> None:
    done = fresh.python(RUN, f"output={output}", *overrides, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_more_processes_than_batches_generate_each_sample_once(tmp_path: Path) -> None:
    few = ["trainer=ddp", "data.limit=1", "strategy=taylor", "strategy.max_order=1", *SMALL]
    _run(tmp_path, *few)
    assert len(list(tmp_path.glob("samples/*/*.json"))) == 2, "one sample of two arms"
    (record,) = tmp_path.glob("*/record.json")
    assert verified(load(record)) == [], "a ddp record verifies in one process"


def test_a_killed_parent_takes_its_processes_along(tmp_path: Path) -> None:
    long = ["generator=flux_tiny", "generator.num_steps=400", "data.per_condition=50"]
    parent = fresh.started([RUN, f"output={tmp_path}", "trainer=ddp", *long], cwd=ROOT, said=tmp_path)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("samples/*/*.json")):
            assert time.monotonic() < deadline, "nothing was generated"
            time.sleep(0.1)
        child = next(int(line) for line in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split())
    finally:
        parent.kill()
        parent.join()
    while time.monotonic() < deadline and Path(f"/proc/{child}/status").exists():
        if "State:\tZ" in Path(f"/proc/{child}/status").read_text():
            break
        time.sleep(0.1)
    count = len(list(tmp_path.glob("samples/*/*.json")))
    time.sleep(1)
    assert len(list(tmp_path.glob("samples/*/*.json"))) == count, "an orphan goes on writing"


@pytest.mark.parametrize(
    "options", [pytest.param(options, id=name, marks=SLOW.get(name, ())) for name, options in GENERATORS.items()]
)
def test_a_sample_alone_in_a_full_batch_and_on_two_processes_has_equal_bits(options: list[str], tmp_path: Path) -> None:
    common = [*options, "data.batch_size=4", "data.per_condition=2"]
    full, alone, ddp = (tmp_path / name for name in ("full", "alone", "ddp"))
    run(*common, output=full)
    _run(ddp, *common, "trainer=ddp")
    run(*common, "data.limit=5", output=alone)  # sample 4 is alone in its batch
    everything = _entries(full, 8)
    assert _entries(ddp, 8) == everything
    assert {name: rows[:5] for name, rows in everything.items()} == _entries(alone, 5)


def test_finished_rows_of_a_batch_do_not_change_the_others(tmp_path: Path) -> None:
    """Resuming fills the rows of finished samples with something else."""
    options = ["data.batch_size=4", "strategy=taylor", "strategy.interval=2"]
    first = run(*options, output=tmp_path)
    for entry in tmp_path.glob("samples/*/00000[02].json"):
        entry.unlink()
    again = run(*options, output=tmp_path)
    assert again.content_hash == first.content_hash


def test_arms_of_another_study_are_not_generated_again(tmp_path: Path) -> None:
    run(output=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("samples/*/*.json")}
    run("strategy=taylor", "strategy.max_order=1", output=tmp_path)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.glob("samples/*/*.json")}
    assert {path: after[path] for path in before} == before
    assert len(after) == 2 * len(before)


def test_batch_shape_is_part_of_what_a_sample_is(tmp_path: Path) -> None:
    from sdaccel.studies.runner import sample_folders

    one, four = (sample_folders(plan(f"data.batch_size={size}", output=tmp_path)) for size in (1, 4))
    assert one["run"].folder != four["run"].folder


def test_keeping_arrays_changes_no_image(tmp_path: Path) -> None:
    plain = run("data.limit=1", output=tmp_path)
    kept = run("data.limit=1", "study.keep=[latents]", output=tmp_path)
    images = [record.arms["run"].samples[0].image for record in (plain, kept)]
    assert images[0] == images[1]
    folder = tmp_path / "samples" / kept.folders["run"]
    assert np.load(folder / "000000.npz")["latents"].shape == (7, 64, 12)
