"""`sdaccel sweep FILE`: the points of a W&B sweep file, by agents on this machine, without an account and without a network.

Everything that the file cannot mean is told before the first run. Started again it goes on where it ended, and tries once more
what failed. The points are an Optuna study, FOLDER/sweep.db, for its plots and importances. Exit 1 where a point has no result.
"""

import argparse
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from sdaccel.cli import CONF, Parser, sweep_file, told
from sdaccel.cli.sweep_file import Point, Sweep
from sdaccel.cli.sweep_store import Store, drawn
from sdaccel.errors import BadInput
from sdaccel.processes import end_with_parent
from sdaccel.samples import canonical, digest

AGENT = (sys.executable, "-m", "sdaccel.cli.sweep_agent")
STOPPED = 130
"""Exit code after Ctrl-C, as shells have it."""


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog="sdaccel sweep", description=__doc__)
    parser.add_argument("file", type=Path, help="such as conf/sweep/hicache.yaml; `wandb sweep` takes the same file")
    parser.add_argument("--agents", type=int, default=1, help="runs at a time")
    parser.add_argument("--count", type=int, help="points at most, in place of the file's run_cap")
    parser.add_argument("--seed", type=int, default=0, help="of the points of random and bayes")
    parser.add_argument("--folder", type=Path, default=Path("runs/sweeps"))
    parser.add_argument("--dry-run", action="store_true", help="check and show every command, run none")
    return told(lambda: _sweep(parser.parse_args(argv)))


def _sweep(args: argparse.Namespace) -> int:
    if args.agents < 1 or (args.count is not None and args.count < 1):
        raise BadInput(f"--agents={args.agents} and --count={args.count} must be at least 1.")
    sweep = sweep_file.read(args.file, count=args.count)
    points = drawn(sweep, seed=args.seed)
    check(sweep, points)
    if args.dry_run:
        for point in points or _ends(sweep):
            print(shlex.join(sweep.argv(point)))
        return 0
    since = time.time()
    folder = _folder(args, sweep)
    store = Store(sweep, folder, seed=args.seed)
    store.fill(points, since=since)
    done = sum(trial.state == TrialState.COMPLETE for trial in store.trials())
    total = len(points) or sweep.count or 0
    print(f"{sweep.method} sweep {folder}: {total} points, {done} made before, {args.agents} agents", flush=True)
    names = [secrets.token_hex(4) for _ in range(args.agents)]
    call = [str(since), str(args.seed), str(args.count or 0)]
    agents = [subprocess.Popen([*AGENT, str(folder), name, *call], preexec_fn=_apart) for name in names]
    try:
        codes = [agent.wait() for agent in agents]
    except KeyboardInterrupt:
        for agent in agents:
            agent.kill()
        print("stopped; the same command goes on where it was.")
        return STOPPED
    for name, code in zip(names, codes, strict=True):
        if code:
            print(f"agent {name} ended with exit code {code}; others took its point over, or the next start does.")
    return conclude(store, total, since=since)


def _apart() -> None:
    """An agent is stopped by its parent and by no key."""
    os.setsid()
    end_with_parent()


def check(sweep: Sweep, points: Sequence[Point]) -> None:
    """Every point is a study that could run; of a search that has none yet, every value beside the first ones of the others."""
    if not Path(sweep.program).is_file():
        raise BadInput(
            f"{sweep.name}: program={sweep.program} does not exist here; start the sweep in the folder of the checkout."
        )
    from sdaccel.cli.run import checked
    from sdaccel.studies import compose

    compose.register()
    for point in points or _ends(sweep):
        try:
            plan = checked(sweep.overrides(point), CONF)
        except BadInput as error:
            raise BadInput(f"{sweep.name}: {sweep_file.spoken(point)}: {error}") from None
        if sweep.goal and not plan.cfg.objective:
            raise BadInput(
                f"{sweep.name}: its metric is the objective and its runs have none; add objective=ARM.METRIC to command."
            )


def conclude(store: Store, total: int, *, since: float) -> int:
    """The last lines: what has no result, and the best point."""
    complete = [trial for trial in store.trials() if trial.state == TrialState.COMPLETE]
    for trial in store.trials():
        if trial.state == TrialState.FAIL and "why" in trial.user_attrs and _when(trial) >= since:
            print(f"no result: {_said(store, trial)}: {trial.user_attrs['why']}")
    print(f"{len(complete)} of {total} points have a result")
    if store.sweep.goal and complete:
        best = store.study.best_trial
        print(f"best ({store.sweep.goal}): {_said(store, best)}: objective {best.value:.6g} · {best.user_attrs['record']}")
    compare(store, complete)
    return int(len(complete) < total)


def compare(store: Store, complete: Sequence[FrozenTrial]) -> None:
    """A page of all points, where there are two or more."""
    from sdaccel.cli.compare import of

    runs = list(dict.fromkeys(str(Path(trial.user_attrs["record"]).parent) for trial in complete))
    if len(runs) > 1:
        of(runs, store.folder)


def _when(trial: FrozenTrial) -> float:
    return trial.datetime_complete.timestamp() if trial.datetime_complete else 0.0


def _said(store: Store, trial: FrozenTrial) -> str:
    return sweep_file.spoken(store.meant(trial.params))


def _ends(sweep: Sweep) -> list[Point]:
    first = {name: parameter.ends[0] for name, parameter in sweep.parameters.items()}
    others = [first | {name: value} for name, parameter in sweep.parameters.items() for value in parameter.ends[1:]]
    return [first, *others]


def _folder(args: argparse.Namespace, sweep: Sweep) -> Path:
    """Named by what decides the points; it holds a copy of the file, which may be edited while agents run."""
    key = digest(canonical([args.file.read_text(), args.count, args.seed]))[:8]
    folder: Path = args.folder / f"{sweep.name}-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(args.file, folder / args.file.name)
    return folder
