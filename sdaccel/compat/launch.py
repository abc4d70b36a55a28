"""What the launchers of other projects come to here: the command is printed as a shell takes it, and runs."""

import os
import shlex
import sys
from collections.abc import Callable, Sequence

from sdaccel.cli import HELP
from sdaccel.errors import BadInput
from sdaccel.processes import RUN, SAFE


def launch(overrides: Callable[[Sequence[str]], list[str]], *, usage: str) -> int:
    """Run what `overrides` makes of this process's arguments. Exit codes of `sdaccel run`; 2 for what means nothing."""
    if HELP & {*sys.argv[1:]}:
        print(usage)
        return 0
    try:
        means = overrides(sys.argv[1:])
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    print("sdaccel run", shlex.join(means), flush=True)
    return os.execve(RUN[0], [*RUN, *means], os.environ | SAFE)
