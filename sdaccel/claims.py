"""Which process makes which batch of a folder: a claim is a lock on a byte of one file, and ends with the process that has it.

A killed process leaves nothing to clean up, and processes that know nothing of each other share a folder. The file grows by a
byte for every finished sample: its size says how many all of them have made. Over NFS this needs version 4.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, Self, TypeVar

from sdaccel.errors import BadInput

FILE = "claims"
POLL = 0.05
"""Seconds between two looks at work that others are at, once there is no more that is free."""

W = TypeVar("W", bound="Work")


class Claims(AbstractContextManager["Claims"]):
    """Of this process on one folder; there must be one object per folder, since closing a file ends all claims on it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.held = folder, set[int]()
        self.file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_APPEND)

    def take(self, place: int) -> bool:
        """False: somebody is at it, this process included."""
        if place in self.held:
            return False
        try:
            fcntl.lockf(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            raise BadInput(
                f"{self.folder} cannot be locked ({error.strerror}), so processes would make each other's samples; choose an "
                "output on a local disk or on NFS 4."
            ) from None
        self.held.add(place)
        return True

    def leave(self, place: int, *, finished: int = 0) -> None:
        """With so many samples finished under it."""
        os.write(self.file, b"." * finished)
        fcntl.lockf(self.file, fcntl.LOCK_UN, 1, place)
        self.held.discard(place)

    def finished(self) -> int:
        """Samples that were ever made here, by whomever."""
        return os.fstat(self.file).st_size

    def __exit__(self, *error: object) -> None:
        os.close(self.file)


class Work(Protocol):
    """What one process does at a time."""

    @property
    def claims(self) -> Claims: ...

    @property
    def place(self) -> int: ...

    def rest(self) -> Self | None:
        """What of it is still to do; None: nothing."""
        ...


def free(every: Sequence[W]) -> Iterator[W]:
    """What this process claims, one at a time, and has to leave; it ends when all is done, by whomever.

    Nobody waits for another while something is free, and what a process did not finish goes to the others.
    """
    waiting = list(every)
    while waiting:
        busy = []
        for work in waiting:
            if not work.claims.take(work.place):
                busy.append(work)
            elif rest := work.rest():
                yield rest
            else:
                work.claims.leave(work.place)
        waiting = busy
        if waiting:
            time.sleep(POLL)
