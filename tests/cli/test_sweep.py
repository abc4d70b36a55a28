"""Sweep files without W&B: the same commands as its agent's, each point made once, whoever is killed meanwhile."""

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.trial import TrialState
from wandb import wandb_agent

from sdaccel.cli import sweep, sweep_agent, sweep_file
from sdaccel.cli.sweep_store import Store, drawn
from sdaccel.records.read import load
from sdaccel.samples import Samples
from tests.conftest import CONF, ROOT
from tests.studies import frame

FILES = sorted((CONF / "sweep").glob("*.yaml"))
COMMAND = ["${env}", "${interpreter}", "${program}", "strategy=taylor", "strategy.max_order=1", "objective=run.macs"]
SPACES: dict[str, dict[str, Any]] = {
    "grid": {"a": {"values": [2, 3, 4]}, "b": {"values": [[1, 2], [2]]}, "c": {"values": [True, 1]}},
    "random": {"a": {"min": 2, "max": 900}, "b": {"min": 0.1, "max": 0.9}, "c": {"value": None}},
    "bayes": {"a": {"min": 0.0, "max": 1.0}, "b": {"values": ["x", "y, z"]}},
}
PROGRAM = """
import json, os, sys, time
time.sleep(0.25)
with open(os.path.join(os.path.dirname(__file__), "made.log"), "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
with open(os.environ["SDACCEL_OBJECTIVE"], "w") as file:
    json.dump({"objective": len(sys.argv[1]), "record": "none"}, file)
"""


def written(folder: Path, **changes: Any) -> Path:
    """A sweep file, with other entries or without those that are None."""
    spec: dict[str, Any] = {"program": "experiments/run.py", "method": "grid", "command": [*COMMAND, "${args_no_hyphens}"]}
    spec |= {"metric": {"name": "objective"}, "parameters": {"strategy.interval": {"values": [2, 3]}}} | changes
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in spec.items() if value is not None}, sort_keys=False))
    return path


def by_wandb(path: Path, point: dict[str, Any], monkeypatch: pytest.MonkeyPatch, folder: Path) -> list[str]:
    """The command that the installed agent of W&B would start for a point."""
    started: list[list[str]] = []

    class Started:
        def __init__(self, *, command: list[str], **_: Any) -> None:
            started.append(command)

    monkeypatch.setattr(wandb_agent, "AgentProcess", Started)
    for name in ("WANDB_DIR", "WANDB_RUN_ID", "WANDB_SWEEP_PARAM_PATH"):
        monkeypatch.setenv(name, str(folder))  # and set back when the test has ended
    agent = wandb_agent.Agent(None, None, sweep_id="s1")
    spec = yaml.safe_load(path.read_text())
    agent._sweep_command = spec["command"]
    args = {name: {"value": value} for name, value in json.loads(json.dumps(point)).items()}
    agent._command_run({"type": "run", "run_id": "r1", "program": spec["program"], "args": args})
    return started[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_point_of_a_file_has_the_command_that_w_and_b_would_start(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = sweep_file.read(path)
    points = drawn(found, seed=0) or sweep._ends(found)
    assert len(points) == (found.size if found.method == "grid" else len(points)) and found.goal
    for point in points:
        assert found.argv(point) == by_wandb(path, point, monkeypatch, tmp_path)


def test_values_of_every_type_expand_as_w_and_b_expands_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    values = [
        1,
        -2,
        0.5,
        1e-05,
        1e20,
        True,
        False,
        None,
        "word",
        "two words",
        "a,b",
        "",
        [0, 1],
        ["a", [0.5]],
        {"k": [1, None]},
    ]
    monkeypatch.setenv("WHERE", "there")
    command = [
        "${env}",
        "${interpreter}",
        "${program}",
        "x=${envvar:WHERE}",
        "y=1",
        "${args_no_hyphens}",
        "${args_append_hydra}",
    ]
    path = written(tmp_path, command=command, parameters={"p": {"values": values}, "q.r": {"value": 3}})
    found = sweep_file.read(path)
    assert len(found.grid()) == len(values)
    for point in found.grid():
        assert found.argv(point) == by_wandb(path, point, monkeypatch, tmp_path)
    assert "x=there" in found.argv(point)


@pytest.mark.parametrize("method", ["grid", *(pytest.param(m, marks=pytest.mark.verify) for m in ("random", "bayes"))])
def test_every_point_is_made_once_though_an_agent_is_killed(method: str, tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(PROGRAM)
    count = None if method == "grid" else 8
    spec = {"program": str(tmp_path / "run.py"), "method": method, "run_cap": count, "parameters": SPACES[method]}
    path = written(tmp_path, **spec, command=["${env}", "${interpreter}", "${program}", "${args_no_hyphens}"])
    found, since = sweep_file.read(path), time.time()
    points = drawn(found, seed=1)
    store = Store(found, tmp_path, seed=1)
    store.fill(points, since=since)
    agents = [_agent(tmp_path, name, since) for name in ("one", "two", "three", "four")]
    _until(lambda: any(t.state == TrialState.RUNNING and t.user_attrs.get("agent") == "two" for t in store.trials()))
    os.kill(agents[1], signal.SIGKILL)
    codes = [os.waitpid(pid, 0)[1] for pid in agents]
    assert [code for pid, code in zip(agents, codes, strict=True) if pid != agents[1]] == [0, 0, 0]
    made = Counter((tmp_path / "made.log").read_text().splitlines())
    complete = [trial for trial in store.trials() if trial.state == TrialState.COMPLETE]
    lost = [trial for trial in store.trials() if trial.state == TrialState.FAIL]
    assert len(complete) == made.total() == (count or 12) and len(lost) == 1 and not store.busy
    assert set(made.values()) == {1}
    if method != "bayes":
        assert made == Counter(json.dumps(found.overrides(point)) for point in points)
    assert {json.dumps(found.overrides(store.meant(trial.params))) for trial in [*complete, *lost]} == set(made)
    assert sweep.conclude(store, count or 12, since=since) == 0


def test_a_random_search_is_seeded_and_has_no_point_twice() -> None:
    spec = {name: sweep_file._parameter(p, name) for name, p in SPACES["grid"].items()}
    whole = sweep_file.Sweep("s", "run.py", (), "random", spec, count=99)
    assert len(drawn(whole, seed=0)) == 12, "all that there are"
    some = sweep_file.Sweep("s", "run.py", (), "random", spec, count=5)
    assert drawn(some, seed=3) == drawn(some, seed=3) != drawn(some, seed=4)
    assert all(type(point["c"]) in (bool, int) and type(point["b"]) is list for point in drawn(some, seed=3))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"methods": "grid"}, "methods is no key of a sweep file; did you mean method?"),
        ({"early_terminate": {"type": "hyperband"}}, "early_terminate is for W&B alone"),
        ({"method": "gird"}, "method=gird is unknown; did you mean grid?"),
        ({"command": None}, "command is missing"),
        ({"program": "train.py"}, "a sweep runs studies"),
        ({"metric": {"name": "loss"}}, "metric.name must be objective"),
        ({"metric": {"name": "objective", "goal": "up"}}, "metric.goal=up is unknown"),
        ({"method": "random"}, "random has no end by itself; write run_cap"),
        ({"method": "bayes", "run_cap": 3, "metric": None}, "bayes needs something to look for"),
        ({"parameters": {"a": {"valeus": [1]}}}, "valeus is no key of a sweep file; did you mean values?"),
        ({"parameters": {"a": {"min": 0.0, "max": 1.0}}}, "parameters.a has no end of values for a grid"),
        ({"parameters": {"a": {"parameters": {"b": {"value": 1}}}}}, "parameters.a is nested"),
        ({"parameters": {"a": {"min": 2, "max": 1}}}, "parameters.a needs numbers min < max"),
        ({"parameters": {"a": {"min": 0.1, "max": 1, "distribution": "beta"}}}, "distribution=beta cannot be drawn here"),
        ({"command": [*COMMAND, "${args}"]}, "command holds ${args}, which is no word"),
        ({"parameters": {"strategy.interval": {"values": [2, 1.5]}}}, "strategy.interval=1.5"),
        ({"command": [*COMMAND[:-1], "${args_no_hyphens}"]}, "add objective=ARM.METRIC"),
    ],
)
def test_what_a_file_cannot_mean_is_one_line(
    changes: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert sweep.main([str(written(tmp_path, **changes)), "--folder", str(tmp_path / "sweeps")]) == 2
    out, err = capsys.readouterr()
    assert says in err and err.count("\n") == 1 and not out and not (tmp_path / "sweeps").exists()


@pytest.mark.verify
def test_two_runs_that_want_the_same_samples_make_each_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, write = tmp_path / "written.log", Samples.write

    def counted(self: Samples, index: int, **what: Any) -> None:
        with log.open("a") as file:
            file.write(f"{self.folder.name}/{index}\n")
        write(self, index, **what)

    monkeypatch.setattr(Samples, "write", counted)

    def taylor(interval: int) -> int:
        study = ("strategy=taylor", "strategy.max_order=1", f"strategy.interval={interval}")
        return frame.started(lambda: frame.run(*study, output=tmp_path))

    assert [os.waitpid(pid, 0)[1] for pid in [taylor(2), taylor(3)]] == [0, 0]
    made = Counter(log.read_text().splitlines())
    assert len(made) == 3 * 4 and set(made.values()) == {1}, "one baseline, two strategies"


@pytest.mark.verify
@pytest.mark.parametrize("method", ["grid", "random"])
def test_a_sweep_of_a_small_model_has_the_same_records_by_one_agent_and_by_four_of_which_one_is_killed(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    found = {}
    for agents in (1, 4):
        output = tmp_path / str(agents)
        small = [*frame.SMALL, "metrics=pairs", "data.limit=3", f"output={output}", "${args_no_hyphens}"]
        command = [*COMMAND[:-1], "objective=run.perceptual", "logger=wandb", *small]
        interval = {"values": [2, 3]} if method == "grid" else {"min": 2, "max": 3}
        parameters = {"strategy.interval": interval, "seed": {"values": [0, 1, 2]}}
        output.mkdir()
        path = written(output, method=method, run_cap=5, command=command, parameters=parameters)
        pid = frame.started(lambda: _exit(sweep.main([str(path), "--agents", str(agents), "--folder", str(output)])))  # noqa: B023
        if agents == 4:
            _until(lambda: len(list(output.glob("*/agents/*"))) == 4 and list(output.glob("samples/*/*.json")))  # noqa: B023
            victim = _child_of(pid)
            os.kill(victim, signal.SIGKILL)
        assert os.waitpid(pid, 0)[1] == 0
        assert not list(output.glob("**/wandb")), "no account, no files for one"
        records = [load(path) for path in output.glob("*/record.json")]
        found[agents] = Counter(record.content_hash for record in records)
    assert found[1] == found[4] and found[1].total() == 5


@pytest.mark.verify
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_point_of_a_file_is_a_study_that_could_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert sweep.main([str(path), "--dry-run"]) == 0


def _agent(folder: Path, name: str, since: float) -> int:
    return frame.started(lambda: _exit(sweep_agent.main([str(folder), name, str(since), "1", "0"])))


def _exit(code: int) -> None:
    assert code == 0, code


def _child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0])


def _until(true: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
