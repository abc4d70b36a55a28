"""An agent of a sweep: claims a point, runs its command, tells what came of it, until there is none left.

`python -m sdaccel.cli.sweep_agent FOLDER NAME SINCE SEED COUNT`, started by `sdaccel sweep`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sdaccel.cli import objective, sweep_file
from sdaccel.cli.sweep_store import Claim, Store, drawn
from sdaccel.locks import held
from sdaccel.processes import end_with_parent

POLL = 1.0
"""Seconds between looks at what others, who may yet go, are making."""


def main(argv: Sequence[str]) -> int:
    folder, name, since, seed, count = Path(argv[0]), argv[1], float(argv[2]), int(argv[3]), int(argv[4])
    (file,) = folder.glob("*.yaml")
    sweep = sweep_file.read(file, count=count or None)
    store, points = Store(sweep, folder, seed=seed), drawn(sweep, seed=seed)
    with held(folder / "agents" / name) as lock:
        while True:
            if claim := store.claim(name, points, since=since):
                begun = time.monotonic()
                found, why = made(store, claim, lock)
                store.tell(claim, found, why=why)
                print(_line(store, claim, found, why, time.monotonic() - begun, since), flush=True)
            elif not store.busy:
                return 0
            else:
                time.sleep(POLL)


def made(store: Store, claim: Claim, lock: int) -> tuple[dict[str, Any], str]:
    """What the run of a point has told, and why it has told nothing. The run holds the agent's lock, and ends with it."""
    stem = store.folder / "points" / f"{claim.trial.number:04}"
    stem.parent.mkdir(exist_ok=True)
    told, log = stem.with_suffix(".json"), stem.with_suffix(".log")
    told.unlink(missing_ok=True)
    own = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}", objective.TOLD: str(told.resolve())}
    quiet = {"WANDB_MODE": os.environ.get("WANDB_MODE", "disabled")}
    with log.open("wb") as out:
        argv = store.sweep.argv(claim.point)
        code = subprocess.run(
            argv,
            env=os.environ | own | quiet,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            preexec_fn=end_with_parent,
            check=False,
        ).returncode
    if not told.is_file():
        return {}, f"exit code {code}, see {log}"
    found: dict[str, Any] = json.loads(told.read_text())
    return found, f"its objective has no value, see {log}"


def _line(store: Store, claim: Claim, found: dict[str, Any], why: str, seconds: float, since: float) -> str:
    trials = store.trials()
    done = sum(trial.state.is_finished() for trial in trials if "record" in trial.user_attrs or "why" in trial.user_attrs)
    total = store.sweep.count if store.sweep.method == "bayes" else store.taken(since)
    result = (
        f"objective {found['objective']:.6g}" if found.get("objective") is not None else "made" if found else f"FAILED: {why}"
    )
    return f"{done}/{total} {sweep_file.spoken(claim.point)}: {result} ({seconds:.0f} s)"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
