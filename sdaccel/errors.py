"""The one exception a user is meant to read."""

from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

SHORT = 12
"""Choices that a sentence lists."""


class BadInput(ValueError):
    """Input that cannot be run: the value, the reason and the fix, in one sentence. Entry points exit with 2."""

    def __str__(self) -> str:
        """On one line, whatever line breaks the names and texts have that it quotes."""
        return " ".join(super().__str__().split())


def reason(error: BaseException) -> str:
    """What a library says of an error, short enough for a sentence."""
    said = str(error).strip()
    return said.splitlines()[0][:120] if said else type(error).__name__


def choices(name: Any, known: Collection[str], *, there: str = "there are") -> str:
    """What to write in place of an unknown name: the nearest one, or all where they are few."""
    near = get_close_matches(str(name), known, n=1, cutoff=0.6)
    few = len(known) <= SHORT or not near
    listed = f"{there}: {', '.join(known) or 'none'}." if few else ""
    return " ".join(part for part in (f"did you mean {near[0]}?" if near else "", listed) if part)


def at_least(low: int, options: Any, *names: str, where: str) -> None:
    """Raise BadInput for the first of these options that is smaller; None is not looked at."""
    for name in names:
        if (value := getattr(options, name)) is not None and value < low:
            raise BadInput(f"{where}.{name}={value} must be at least {low}.")
