"""Command lines: what brings studies, benchmarks and trained models together with records and reports."""

import sys
from collections.abc import Callable
from pathlib import Path

import sdaccel
from sdaccel.errors import BadInput

ROOT = Path(sdaccel.__file__).resolve().parent.parent
CONF, REPORTS = ROOT / "conf", ROOT / "reports"


def told(body: Callable[[], int]) -> int:
    """The exit code of a command; 2 with one line for input that it cannot use."""
    try:
        return body()
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
