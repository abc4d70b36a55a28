"""Locks on files that end with whoever holds them, however that ends."""

import errno
import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def held(path: Path) -> Iterator[int]:
    """Wait until nobody else holds it; its file descriptor, which a child that gets it holds on to as well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """The same where the file system has locks; without them two may do one thing, which costs time and no result."""
    with ExitStack() as stack:
        try:
            stack.enter_context(held(path))
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
        yield


def is_held(path: Path) -> bool:
    """By anybody at this moment."""
    try:
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
