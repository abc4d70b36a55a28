"""Several processes make what one makes: each sample once, with the same bits, whoever dies on the way."""

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from sdaccel import claims, conditions, processes, samples
from sdaccel.metrics import ahead
from sdaccel.processes import RUN, SAFE
from sdaccel.records import spent
from sdaccel.studies import compose, runner
from tests.conftest import CONF
from tests.studies import ranks

COMMON = ["study.timing.repeats=0", "data.per_condition=2", "data.batch_size=2"]
STUDIES = {
    "VAR and a two-model strategy": [
        *("generator=var_tiny", "data.labels=[1,2,3,4]", "+study.arms.plain={}"),
        "+study.arms.two={strategy: speculative_coupled, draft: var_tiny, gamma: 2}",
    ],
    "FLUX and HART": [
        *("generator=flux_tiny", "generator.num_steps=6", "data.prompts=[a cat,a dog,a red ring,two cones]"),
        "+study.arms.flux={strategy: hicache, interval: 2}",
        "+study.arms.hart={generator: hart_tiny}",
    ],
}


@dataclass
class Whole:
    """What one process makes of a study."""

    options: list[str]
    content: str
    images: dict[str, list[str]]


def study(options: list[str], output: Path, *, world: int = 1) -> None:
    plan = compose.plan([*COMMON, *options, f"trainer.processes={world}", f"output={output}"], conf=CONF)
    runner.run(plan, console=Console(quiet=True))


@pytest.fixture(scope="module", params=STUDIES)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    options, output = STUDIES[request.param], tmp_path_factory.mktemp("one")
    study(options, output)
    return Whole(options, ranks.content(output), ranks.images(output))


@pytest.mark.parametrize("world", [2, pytest.param(4, marks=pytest.mark.verify)])
def test_any_number_of_processes_make_each_sample_once_and_one_record(world: int, whole: Whole, tmp_path: Path) -> None:
    codes = ranks.ran(lambda rank: study(whole.options, tmp_path, world=world), ranks.places(world))
    assert codes == [0] * world
    assert ranks.images(tmp_path) == whole.images
    assert ranks.content(tmp_path) == whole.content
    assert ranks.made(tmp_path) == sum(map(len, whole.images.values()))
    assert min(ranks.shares(tmp_path)) > 0, "nobody was idle"


@pytest.mark.parametrize("killed", [{1}, {0, 1}, pytest.param({0}, marks=pytest.mark.verify)], ids=str)
def test_a_killed_process_leaves_its_samples_to_the_others_or_to_the_next_start(
    killed: set[int], whole: Whole, tmp_path: Path
) -> None:
    def dies(rank: int) -> None:
        kept, count = os.replace, 0

        def deadly(*args: str) -> None:
            nonlocal count
            count += 1
            if count == 3:  # inside the first batch that it writes
                os.kill(os.getpid(), signal.SIGKILL)
            kept(*args)

        if rank in killed:
            samples.os.replace = deadly  # type: ignore[assignment]
        study(whole.options, tmp_path, world=2)

    codes = ranks.ran(dies, ranks.places(2))
    assert codes == [-signal.SIGKILL if rank in killed else 0 for rank in range(2)]
    if killed != {0, 1}:
        assert ranks.images(tmp_path) == whole.images, "the survivor has made the rest"
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("samples/*/0*.json")}
    assert ranks.ran(lambda rank: study(whole.options, tmp_path, world=2), ranks.places(2)) == [0, 0]
    assert ranks.content(tmp_path) == whole.content
    assert {file: file.stat().st_mtime_ns for file in before} == before, "a finished sample was made again"


VAR = STUDIES["VAR and a two-model strategy"][:3]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Pictures of one arm of VAR."""
    output = tmp_path_factory.mktemp("plain")
    study(VAR, output)
    return ranks.images(output)


def test_noise_that_knows_its_process_is_found(plain: dict[str, list[str]], tmp_path: Path) -> None:
    """A planted bug: the law of equal pictures must fail."""

    def planted(rank: int) -> None:
        kept = conditions.sample_seeds
        conditions.sample_seeds = lambda seed, indices: kept(seed, indices) + rank
        study(VAR, tmp_path, world=2)

    assert ranks.ran(planted, ranks.places(2)) == [0, 0]
    assert ranks.images(tmp_path) != plain


def test_claims_that_hold_nobody_off_are_found(plain: dict[str, list[str]], tmp_path: Path) -> None:
    """A planted bug: without locks samples are made twice, which pictures do not show."""

    def planted(rank: int) -> None:
        claims.fcntl.lockf = lambda *args: None
        study(VAR, tmp_path, world=2)

    assert ranks.ran(planted, ranks.places(2)) == [0, 0]
    assert ranks.images(tmp_path) == plain
    assert ranks.made(tmp_path) > sum(map(len, plain.values()))


def test_commands_that_know_nothing_of_each_other_share_the_work(plain: dict[str, list[str]], tmp_path: Path) -> None:
    """As the agents of a sweep do, whose studies have a baseline in common."""
    assert ranks.ran(lambda rank: study(VAR, tmp_path), [{}, {}]) == [0, 0]
    assert ranks.images(tmp_path) == plain
    assert ranks.made(tmp_path) == sum(map(len, plain.values()))


def test_processes_of_srun_are_taken_as_they_are(plain: dict[str, list[str]], tmp_path: Path) -> None:
    step = {
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_NODEID": "0",
        "SLURM_NODELIST": "127.0.0.1",
    }

    def environment(rank: int, place: dict[str, str]) -> dict[str, str]:
        return step | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "MASTER_PORT": place["MASTER_PORT"]}

    environments = [environment(rank, place) for rank, place in enumerate(ranks.places(2))]
    assert ranks.ran(lambda rank: study(VAR, tmp_path, world=2), environments) == [0, 0]
    assert ranks.images(tmp_path) == plain
    assert min(ranks.shares(tmp_path)) > 0


def test_processes_that_would_make_different_samples_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Their device, code or files differ."""
    from sdaccel.cli.run import main

    def run(rank: int) -> None:
        raise SystemExit(main([*COMMON, *VAR, f"seed={rank}", "trainer.processes=2", f"output={tmp_path}"], conf=CONF))

    assert ranks.ran(run, ranks.places(2)) == [2, 2]
    assert capfd.readouterr().err.count("process 1 would make other samples than process 0") == 1
    assert not list(tmp_path.glob("samples/*/*.json"))


def test_features_are_read_by_all_processes_and_scored_as_by_one(tmp_path: Path) -> None:
    options = ["generator=world_classes", "metrics=world", "data.limit=40", "+study.arms.real={}"]

    def measured(output: Path, world: int) -> None:
        kept = ahead.Part.read

        def read(part: ahead.Part, readers: list[ahead.Reads]) -> None:
            patience = time.monotonic() + 60
            while processes.rank() < world - 1 and not list(output.glob("part-*-1")) and time.monotonic() < patience:
                time.sleep(0.05)  # a process that is busy with a part, until the other one has read one
            kept(part, readers)
            (output / f"part-{part.start}-{processes.rank()}").touch()

        ahead.PART, ahead.Part.read = 8, read  # type: ignore[method-assign, assignment]
        study(options, output, world=world)

    one, two = tmp_path / "1", tmp_path / "2"
    assert ranks.ran(lambda rank: measured(one, 1), [{}]) == [0]
    assert ranks.ran(lambda rank: measured(two, 2), ranks.places(2)) == [0, 0]
    assert ranks.content(one) == ranks.content(two)
    readers = [tuple(map(int, file.name.split("-")[1:])) for file in two.glob("part-*")]
    assert sorted(start for start, _ in readers) == [0, 8, 16, 24, 32], "each once"
    assert {rank for _, rank in readers} == {0, 1}


@pytest.mark.parametrize(("said", "holds"), [({}, "0"), ({"NCCL_NVLS_ENABLE": "1"}, "1")])
def test_nvlink_multicast_is_off_unless_asked_for(said: dict[str, str], holds: str, tmp_path: Path) -> None:
    def asked(rank: int) -> None:
        os.environ.pop("NCCL_NVLS_ENABLE", None)
        os.environ.update(said)
        runner._trainer(compose.plan([*VAR, f"output={tmp_path}"], conf=CONF).cfg)
        assert os.environ["NCCL_NVLS_ENABLE"] == holds

    assert ranks.ran(asked, [{}]) == [0]


@pytest.mark.verify
@pytest.mark.skipif(os.getloadavg()[0] > 1, reason="two processes need two cores for themselves")
def test_two_processes_are_ready_in_less_than_a_third_more_time_than_one(tmp_path: Path) -> None:
    """By the command, until the slower one could begin; the least of three tries, since other work weighs on both."""
    ready: dict[int, list[float]] = {1: [], 2: []}
    for n in range(3):
        for world, found in ready.items():
            output, start = tmp_path / f"{world}-{n}", time.time()
            command = [*RUN, *COMMON, *VAR, f"trainer.processes={world}", f"output={output}"]
            subprocess.run(command, env=os.environ | SAFE, check=True)
            (record,) = output.glob("*/record.json")
            found.append(max(each.moments["planned"] for each in spent.of_run(record.parent)) - start)
    assert min(ready[2]) <= 1.3 * min(ready[1]), ready


@pytest.mark.verify
def test_a_multirun_by_submitit_has_one_folder_a_job(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="it comes with the extra `slurm`")
    local = ["hydra/launcher=submitit_local", "hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=10"]
    options = [*COMMON, *VAR, "trainer.processes=2", "seed=0,1", f"output={tmp_path}"]
    subprocess.run([*RUN, "-m", *local, *options], env=os.environ | SAFE, check=True, cwd=tmp_path)
    assert len(list(tmp_path.glob("*/record.json"))) == 2
    assert ranks.made(tmp_path) == 2 * 8
