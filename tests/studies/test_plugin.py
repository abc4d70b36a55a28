"""Adding a strategy takes one module, one YAML and one test: done here in a package of its own, outside the project."""

from pathlib import Path

from tests.studies.package import Package

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


FILES = {"holding/hold.py": MODULE, "holding/conf/strategy/hold.yaml": YAML, "test_hold.py": TEST}
SMALL = ("generator=flux_tiny", "generator.num_steps=6", "study.timing.repeats=0", "data.limit=1")


def test_a_strategy_of_another_package_runs_by_name(tmp_path: Path) -> None:
    package = Package.written(tmp_path, "holding", FILES, entry_points=ENTRY_POINT)
    done = package.run(*SMALL, "strategy=hold")
    assert done.returncode == 0, done.stderr
    assert "MAC ceiling" not in done.stdout
    assert "PSNR" in done.stdout, "holding must change the image"
    plan = package.run(*SMALL, "strategy=hold", "strategy.every=2", "--dry-run")
    assert "F.F.F. 3/6 full" in plan.stdout
    typo = package.run(*SMALL, "strategy=hold", "strategy.evry=2")
    assert typo.returncode == 2
    assert "it has: every" in typo.stderr
    own = package.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hold.py")
    assert own.returncode == 0, own.stdout
