"""Command lines: what brings studies, benchmarks and trained models together with records and reports."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import sdaccel
from sdaccel.errors import BadInput


def places(package: Path) -> tuple[Path, Path]:
    """conf/ and reports/: of the checkout that the package lies in, or the wheel's own and the one in the working directory."""
    root = package.parent
    if (root / "pyproject.toml").is_file():
        return root / "conf", root / "reports"
    return package / "conf", Path("reports")


CONF, REPORTS = places(Path(sdaccel.__file__).resolve().parent)

HELP = {"-h", "--help"}
WIDE = 132
"""Letters of a line where there is no screen, so that tables do not cut names in two."""


def wants_help(argv: Sequence[str], usage: str, *, group: str, conf: Path) -> bool:
    """True after the usage and the options of the group that has to be chosen were shown."""
    if not HELP & set(argv):
        return False
    print(usage)
    print(f"{group}: {', '.join(sorted(path.stem for path in (conf / group).glob('*.yaml')))}")
    return True


def told(body: Callable[[], int]) -> int:
    """The exit code of a command; 2 with one line for input that it cannot use."""
    try:
        return body()
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2


class Parser(argparse.ArgumentParser):
    """Arguments whose mistakes are told like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; {self.format_usage()}")
