"""Weights & Biases beside a run: what an offline run holds by wandb's own reader, and what is left when its server goes."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from sdaccel.cli import objective
from sdaccel.cli.wandb_tables import scalars
from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.records.read import load
from sdaccel.studies.mirroring import mode
from sdaccel.studies.watch import Made
from tests import fresh
from tests.conftest import ROOT
from tests.studies.frame import SMALL, plan, run_argv

STUDY = [*SMALL, "strategy=taylor", "strategy.max_order=1", "metrics=pairs", "objective=run.perceptual", "logger=wandb"]
KEY = "a1b2" * 10
AT_ONCE = {"WANDB_X_TRANSACTION_LOG_FLUSH_INTERVAL": "0.1"}
"""wandb writes its file every 15 s, which is more than this study takes."""


def at_home(home: Path, **more: str) -> dict[str, str]:
    """An environment without anybody's account."""
    own = {name: str(home / name) for name in ("HOME", "NETRC", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR")}
    return own | {"WANDB_API_KEY": "", "WANDB_ERROR_REPORTING": "false"} | more


def decoded(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Records of a .wandb file by their type, as wandb reads them."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(path)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in map(json.loads, lines):
        found.setdefault(entry["type"], []).append(entry[entry["type"]])
    return found


def table(found: dict[str, list[dict[str, Any]]], name: str) -> list[dict[str, Any]]:
    """Rows of a table as they would be uploaded."""
    entries = [entry for artifact in found["artifact"] for entry in artifact["manifest"]["contents"]]
    (path,) = [entry["local_path"] for entry in entries if entry["path"] == f"{name}.table.json"]
    held = json.loads(Path(path).read_text())
    return [dict(zip(held["columns"], row, strict=True)) for row in held["data"]]


def test_a_killed_run_has_told_what_it_made_and_the_next_attempt_goes_on_in_the_same_run(tmp_path: Path) -> None:
    output, study = (
        tmp_path / "runs",
        [*STUDY, "data.limit=12", "data.per_condition=4", "study.timing.repeats=3", "study.figures=[sample_sheet]"],
    )
    argv = [str(ROOT / "experiments" / "run.py"), *study, f"output={output}"]
    first = fresh.started(argv, cwd=ROOT, said=_made(tmp_path / "said"), **at_home(tmp_path, **AT_ONCE))
    _until(lambda: len(list(output.glob("samples/*/*.json"))) > 4)
    assert first.pid is not None
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    done = fresh.python(*argv, cwd=ROOT, **at_home(tmp_path, WANDB_TAGS="mine", SDACCEL_OBJECTIVE=str(tmp_path / "told.json")))
    assert done.returncode == 0, done.stderr
    killed, whole = sorted(output.glob("*/wandb/offline-run-*/run-*.wandb"), key=lambda path: path.parent.name)
    before, after = decoded(killed), decoded(whole)

    images = [row["item"]["live/images"] for row in before["history"] if "live/images" in row["item"]]
    assert images and images == list(range(1, len(images) + 1)) and "artifact" not in before, "rows before there was a record"
    shown = [name for row in before["files"] for file in row["files"] for name in [file["path"]]]
    assert any(name.startswith("media/images/live/pictures/baseline") for name in shown), "first pictures as they come"
    (run,), (again,) = before["run"], after["run"]
    assert run["run_id"] == again["run_id"] and run["run_group"] == "sample" and run["job_type"] == "study"
    assert run["display_name"].startswith("taylor ") and {"taylor", "flux", "cpu", "random weights"} <= set(run["tags"])
    assert again["tags"][0] == "mine"

    record = load(next(output.glob("*/record.json")))
    live = [row["item"] for row in after["history"] if "live/images" in row["item"]]
    assert live[-1]["live/images"] == 24 and live[0]["live/images"] > 1, "what was on disk counts"
    assert all(row["live/images_per_s"] > 0 and row["live/memory_bytes"] > 2**20 for row in live)
    last = after["history"][-1]["item"]
    assert last["objective"] == record.arms["run"].estimate("perceptual")
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["objective"] == last["objective"] and load(Path(told["record"])) == record, "what a sweep asks for"
    assert {name: last[name] for name in scalars(record)} == scalars(record) and "passed" not in last
    (of_run,) = [row for row in table(after, "arms") if row["arm"] == "run"]
    metric, speedup = record.arms["run"].metrics["psnr"], record.timing.arms["run"].speedup
    assert speedup is not None
    assert [of_run[f"psnr{end}"] for end in ("", " low", " high")] == [metric.estimate, metric.low, metric.high]
    assert [of_run[f"speed-up{end}"] for end in ("", " low", " high")] == [speedup.estimate, speedup.low, speedup.high]
    assert of_run["MACs"] == record.arms["run"].macs and of_run["picture"]["width"] == 16
    pictures = table(after, "pictures")
    assert len(pictures) == 12 and all(row["baseline"]["sha256"] != row["run"]["sha256"] for row in pictures)
    (artifact,) = [each for each in after["artifact"] if each["type"] == "record"]
    held = {entry["path"] for entry in artifact["manifest"]["contents"]}
    folder = next(output.glob("*/record.json")).parent
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"record.json", "record.samples.json.gz", "sample_sheet.png"} <= held
    assert artifact["name"] == record.id and held == {name for name in files if not name.startswith("wandb/")}
    assert last["figure/sample_sheet._type"] == "image-file", "figures are media"


@pytest.mark.verify
def test_a_server_that_goes_costs_one_line_and_nothing_on_disk(tmp_path: Path) -> None:
    study = [*STUDY, "data.limit=2", f"output={tmp_path}/runs"]
    with server() as (url, stop):
        said = _made(tmp_path / "said")
        online = at_home(tmp_path, WANDB_BASE_URL=url, WANDB_API_KEY=KEY, WANDB_MODE="online", WANDB_FINISH_TIMEOUT="1")
        process = fresh.started([str(ROOT / "experiments" / "run.py"), *study], cwd=ROOT, said=said, **online)
        _until(lambda: (tmp_path / "runs" / "samples").exists())
        stop()
        process.join()
    assert process.exitcode == 0, (said / "err").read_text()
    lines = (said / "out").read_text().splitlines()
    assert len([line for line in lines if "W&B" in line]) == 1 and "W&B lost" in lines[-1] and "wandb sync" in lines[-1]
    (record,) = (tmp_path / "runs").glob("*/record.json")
    assert any(load(record).content_hash[:12] in line for line in lines)


def test_a_run_is_lost_once(tmp_path: Path) -> None:
    from sdaccel.cli.wandb_run import Live

    class Gone:
        dir = str(tmp_path / "files")

        def log(self, row: dict[str, Any]) -> None:
            raise ConnectionResetError("Connection lost")

    said = Console(record=True, quiet=False, file=io.StringIO())
    live = Live(Gone(), plan("strategy=taylor", "strategy.max_order=1", output=tmp_path), said)
    for done in (1, 2):
        batch = batches(["a", "b"], seed=0, size=1)[0]
        live.made(Made("run", batch, torch.zeros(1, 3, 8, 8), kept=0, done=done, total=2, rate=1.0))
    live.close()
    assert said.export_text().count("W&B lost") == 1


@pytest.mark.parametrize("key", ["", "too_short"])
def test_without_a_login_nothing_is_made(key: str, tmp_path: Path) -> None:
    online = [*STUDY, "logger.offline=false", f"output={tmp_path}/runs"]
    done = fresh.python(str(ROOT / "experiments" / "run.py"), *online, cwd=ROOT, **at_home(tmp_path, WANDB_API_KEY=key))
    assert done.returncode == 2 and not (tmp_path / "runs").exists()
    (line,) = (done.stdout + done.stderr).splitlines()
    assert "logger.offline=true" in line and "wandb login" in line


def test_the_environment_says_how_and_a_sweep_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_MODE", "WANDB_SWEEP_ID"):
        monkeypatch.delenv(name, raising=False)
    chosen = SimpleNamespace(wandb=True, offline=None)
    assert mode(chosen) == "offline" and mode(SimpleNamespace(wandb=False, offline=False)) == "disabled"
    monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
    assert mode(chosen) == "online", "an agent waits for the run"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mode(chosen) == "disabled" and mode(SimpleNamespace(wandb=True, offline=True)) == "offline"
    monkeypatch.setenv("WANDB_MODE", "upside_down")
    with pytest.raises(BadInput, match="upside_down"):
        mode(chosen)

    from sdaccel.cli.wandb_run import named

    (tmp_path / "run-0123").mkdir()
    study = plan("strategy=taylor", "strategy.max_order=1", "logger.project=mine", output=tmp_path)
    alone, swept = (named(study, tmp_path / "run-0123", env) for env in ({}, {"WANDB_SWEEP_ID": "s1", "WANDB_NAME": "n"}))
    assert alone["project"] == "mine" and alone["id"].startswith("run-0123-") and alone["group"] == "sample"
    assert not {"id", "project", "name"} & swept.keys() and swept["group"] == "sample"


def test_an_objective_that_the_study_will_not_have_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for asked, why in (("rum.macs", "did you mean run"), ("run.psnrr", "did you mean psnr"), ("run.speedup", "no speedup")):
        assert run_argv([*SMALL, "metrics=pairs", f"objective={asked}", f"output={tmp_path}"]) == 2
        assert why in capsys.readouterr().err
    assert objective._parts("a.b.judge.mean", ["a", "a.b"]) == ("a.b", "judge.mean"), "names of arms may hold dots"


@contextmanager
def server() -> Iterator[tuple[str, Any]]:
    """As much of W&B as lets a run begin; its address, and how to end it at once."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.end_headers()
            asked = json.loads(body) if self.path == "/graphql" else {}
            self.wfile.write(json.dumps({"data": _answer(asked)}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=made.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        made.shutdown()
        made.server_close()

    try:
        yield f"http://127.0.0.1:{made.server_port}", stop
    finally:
        stop()


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    if asked.get("operationName") != "UpsertBucket":
        return {}
    name, project = (
        asked["variables"]["name"],
        {"id": "p", "name": asked["variables"]["project"], "entity": {"id": "e", "name": "me"}},
    )
    return {"upsertBucket": {"bucket": {"id": "b", "name": name, "displayName": name, "project": project}, "inserted": True}}


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _until(true: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
