"""`sdaccel run ...` with all its processes started first: those that the command line asks for by itself.

What only a whole configuration tells, such as an experiment that chooses a trainer, is left to Lightning: it starts them later.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from sdaccel import processes
from sdaccel.cli import CONF
from sdaccel.processes import RUN, SAFE


def main(argv: Sequence[str], *, conf: Path = CONF) -> int:
    processes.follow()
    others = launched(argv, conf)
    from sdaccel.cli.run import main as run

    return run(argv, conf=conf, others=others)


def launched(argv: Sequence[str], conf: Path) -> processes.Others:
    """The other processes; none where the command has one, or where somebody has started them."""
    described = any(arg.startswith("-") for arg in argv)  # a plan, or a multirun, whose jobs are commands of their own
    count = 1 if described or processes.started() else asked(argv, conf)
    return processes.start([*RUN, *argv], count, environment=SAFE) if count > 1 else processes.Others()


def asked(argv: Sequence[str], conf: Path) -> int:
    """How many processes the options of `trainer` ask for."""
    said = {found[1]: found[2] for arg in argv if (found := re.fullmatch(r"(trainer(?:\.\w+)?)=(\w+)", arg))}
    file = conf / "trainer" / f"{said.get('trainer', '')}.yaml"
    chosen = yaml.safe_load(file.read_text()) if file.is_file() else {}
    number = str(said.get("trainer.processes", chosen.get("processes", 1)))
    if not number.isdecimal():
        return 1
    return int(number) or processes.every()
