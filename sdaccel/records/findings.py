"""What one look at a record found, and when two figures of it are one."""

from collections.abc import Sequence
from dataclasses import dataclass

DIGITS = 2e-5
"""Relative, between figures that were computed from values of six digits and from all digits."""


@dataclass(frozen=True)
class Findings:
    of: str
    """What was looked at."""
    differs: Sequence[str] = ()
    """What is not as the record says, one line each."""
    unseen: Sequence[str] = ()
    """What could not be checked here, and why."""
    notes: Sequence[str] = ()
    """What a reader should know beside it."""


def close(said: float | None, found: float | None, *, within: float) -> bool:
    """Equal up to so much; None is equal to None alone."""
    if said is None or found is None:
        return said is found
    return abs(said - found) <= within
