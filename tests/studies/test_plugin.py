"""Adding a strategy takes one module, one YAML and one test: done here in a package of its own, outside the project."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

MODULE = '''
"""Hold the last velocity on every second step."""

from dataclasses import dataclass
from typing import ClassVar

from sdaccel.strategies.base import Alone, Declares, Untold, strategy


class Held(Untold):
    def __init__(self, seam, plan):
        self.seam, self.plan, self.last = seam, plan, None

    def velocity(self, step, x):
        if self.plan[step] == "full":
            self.last = self.seam.full(step, x)
        return self.plan[step], self.last


@strategy(name="hold")
@dataclass(frozen=True)
class Hold(Alone):
    every: int = 2

    declares: ClassVar[Declares] = Declares(seam="denoise", exact=False)

    def check(self, steps):
        pass

    def plan(self, steps):
        return ["full" if step % self.every == 0 else "held" for step in range(steps)]

    def start(self, seam, *, steps):
        return Held(seam, self.plan(steps))
'''
YAML = "defaults: [/schema/strategy/hold@_here_, _self_]\n\nevery: 3\n"
TEST = """
from holding.hold import Hold


def test_every_third_step_is_full():
    assert Hold(every=3).plan(7) == ["full", "held", "held", "full", "held", "held", "full"]
"""
ENTRY_POINT = "[sdaccel.strategies]\nhold = holding.hold\n"


def _package(root: Path) -> None:
    for path, text in {
        "holding/__init__.py": "",
        "holding/hold.py": MODULE,
        "holding/conf/__init__.py": "",
        "holding/conf/strategy/hold.yaml": YAML,
        "test_hold.py": TEST,
        "holding-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: holding\nVersion: 1.0\n",
        "holding-1.0.dist-info/entry_points.txt": ENTRY_POINT,
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def test_a_strategy_of_another_package_runs_by_name(tmp_path: Path) -> None:
    _package(tmp_path)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    small = ["generator.num_steps=6", "study.timing.repeats=0", "data.limit=1", f"output={tmp_path}/runs"]

    def command(*overrides: str) -> "subprocess.CompletedProcess[str]":
        argv = [
            sys.executable,
            str(ROOT / "experiments" / "run.py"),
            "hydra.searchpath=[pkg://holding.conf]",
            *small,
            *overrides,
        ]
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)

    done = command("strategy=hold")
    assert done.returncode == 0, done.stderr
    assert "MAC ceiling" not in done.stdout
    assert "PSNR" in done.stdout, "holding must change the image"
    plan = command("strategy=hold", "strategy.every=2", "--dry-run")
    assert "F.F.F. 3/6 full" in plan.stdout
    typo = command("strategy=hold", "strategy.evry=2")
    assert typo.returncode == 2
    assert "it has: every" in typo.stderr
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_hold.py")]
    own = subprocess.run(test, env=environment, cwd=tmp_path, check=False)
    assert own.returncode == 0
