"""Command lines in processes of their own, forked from one that has imported the heavy libraries and nothing of a study.

Importing them takes most of the time of a small study: here it is spent once per test process. A test of what gets imported, or
of settings that an interpreter or a library reads at its start, needs a process that starts from nothing.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

HEAVY = ["torch", "torchvision", "pytorch_lightning", "hydra", "diffusers.models.transformers.transformer_flux", "matplotlib"]
FROM = multiprocessing.get_context("forkserver")


def python(*argv: str, cwd: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`python ARGV...`, a script or `-m` and a module, with more in its environment."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder)
        process = started(argv, cwd=cwd, said=said, **environment)
        process.join()
        assert process.exitcode is not None
        return subprocess.CompletedProcess(argv, process.exitcode, (said / "out").read_text(), (said / "err").read_text())


def started(argv: Sequence[str], *, cwd: Path, said: Path, **environment: str) -> ForkServerProcess:
    """The process, at work; what it says goes to two files of the folder."""
    FROM.set_forkserver_preload(["sdaccel.torchvision_guard", *HEAVY])
    process = FROM.Process(target=_become, args=(list(argv), cwd, said, dict(os.environ) | environment))
    process.start()
    return process


def _become(argv: list[str], cwd: Path, said: Path, environment: dict[str, str]) -> None:
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(said / name, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    if "PYTHONPATH" in environment:
        sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    if argv[0] == "-m":
        sys.argv = argv[1:]
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")
