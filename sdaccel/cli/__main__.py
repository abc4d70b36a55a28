"""`sdaccel COMMAND ...`: every command under one name."""

import sys
from collections.abc import Sequence
from importlib import import_module

from sdaccel.cli import told
from sdaccel.errors import BadInput, choices

COMMANDS = {
    "run": "run a study: sdaccel run +exp=interval1_equivalence",
    "bench": "time arms beside a floor: sdaccel bench +bench=var_engine",
    "compare": "one page of several runs, or of folders of pictures: sdaccel compare RUN...",
    "report": "make figures, tables and index.html of the records in reports/",
    "sweep": "run a W&B sweep file without W&B: sdaccel sweep conf/sweep/hicache.yaml --agents 2",
    "promote": "copy finished records to reports/: sdaccel promote interval1_equivalence",
    "judge": "judge records again by the checks of today: sdaccel judge stack_diagnostics-744f",
    "zoo": "train a small model: sdaccel zoo model=judge_mini",
    "verify": "run a record's command again and compare: sdaccel verify interval1_equivalence",
}
"""Module of this package -> what it does."""
HOMES = {"run": "launch"}
"""Module of a command, where it is another: further processes are started before the rest is imported."""
USAGE = f"usage: sdaccel {{{','.join(COMMANDS)}}} ..."


def main() -> int:
    return told(lambda: dispatch(sys.argv[1:]))


def dispatch(argv: Sequence[str]) -> int:
    """The exit code of the command. `sys.argv` stays as it is: Lightning starts further processes by it."""
    if not argv:
        raise BadInput(USAGE)
    name, *rest = argv
    if name in ("-h", "--help"):
        print(USAGE, *(f"  {command:8} {what}" for command, what in COMMANDS.items()), sep="\n")
        return 0
    if name not in COMMANDS:
        raise BadInput(f"{name} is not a command of sdaccel; {choices(name, COMMANDS)}")
    code: int = import_module(f"sdaccel.cli.{HOMES.get(name, name)}").main(rest)
    return code


if __name__ == "__main__":
    sys.exit(main())
