"""The processes of one command. All are started before any of them imports what is heavy, so that they import at once.

Each knows its place as Lightning reads it from the environment (LOCAL_RANK, or SLURM_PROCID under srun); those that srun or
torchrun started are taken as they are.
"""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

RUN = (sys.executable, "-m", "sdaccel.cli", "run")
"""A study in a process of its own, in a checkout and in a wheel."""
SAFE = {"PYTHONSAFEPATH": "1"}
"""Its environment: what `-m` imports must not come from the working directory, for it nor for the processes it starts."""
COUNT, PARENT = "SDACCEL_PROCESSES", "SDACCEL_PARENT"
"""Environment of processes that were started here."""
BAD_INPUT = 2
"""Exit code; every process meets the same mistake, and the first one tells it."""
GRACE = 30.0
"""Seconds that the first process has to fail by itself when another could not start."""
POLL = 0.2


def rank() -> int:
    """Of this process, 0 where it is alone."""
    return next((int(os.environ[name]) for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID") if name in os.environ), 0)


def by_srun() -> bool:
    """srun has started this process and others for one command."""
    return int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1


def started() -> bool:
    """Somebody has started the processes of this command already."""
    return "LOCAL_RANK" in os.environ or by_srun()


def end_with_parent() -> None:
    """Not even SIGKILL of whoever has started this process leaves it behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def follow() -> None:
    """End with the process that has started this one, even when that is killed."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        end_with_parent()
        if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()):
            sys.exit(128 + signal.SIGKILL)  # it died before


def every() -> int:
    """As many processes as this machine has GPUs, or two where it has none; asked of the driver, since torch takes seconds."""
    found = ctypes.c_int()
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 2
    failed = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(found))
    return 2 if failed else found.value or 2


def of_step() -> tuple[int, int]:
    """Processes of a node, and nodes, as srun has started them."""
    nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", 1))
    return int(os.environ["SLURM_STEP_NUM_TASKS"]) // nodes, nodes


def told() -> int | None:
    """How many processes were started here for this command; None: nobody was, or by somebody else."""
    return int(os.environ[COUNT]) if COUNT in os.environ else None


def met() -> bool:
    """This process has found the others; one that dies from then on leaves its work to the rest."""
    distributed = sys.modules.get("torch.distributed")
    return bool(distributed and getattr(distributed, "is_initialized", bool)())


@dataclass(frozen=True)
class Others:
    """The processes that this one has started."""

    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def watch(self) -> None:
        """Until they have met, nobody can go on without one that is gone."""
        while not met():
            if gone := [process for process in self.processes if process.poll()]:
                time.sleep(GRACE if gone[0].returncode == BAD_INPUT else 0)
                if not met():
                    print(self._told(gone[0]), file=sys.stderr, flush=True)
                    os.kill(os.getpid(), signal.SIGTERM)
                return
            time.sleep(POLL)

    def end(self) -> list[str]:
        """Wait for all; a line for each that failed."""
        for process in self.processes:
            process.wait()
        return [self._told(process) for process in self.processes if process.returncode]

    def _told(self, process: "subprocess.Popen[bytes]") -> str:
        return f"process {self.processes.index(process) + 1} ended with exit code {process.returncode}"


def start(command: Sequence[str], count: int, *, environment: Mapping[str, str]) -> Others:
    """`count` - 1 more processes of a command; this one becomes the first."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": "0", COUNT: str(count)}
    own = os.environ | {PARENT: str(os.getpid())} | dict(environment)
    others = Others([subprocess.Popen(command, env=own | {"LOCAL_RANK": str(n)}) for n in range(1, count)])
    threading.Thread(target=others.watch, daemon=True).start()
    return others
