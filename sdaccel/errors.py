"""The one exception a user is meant to read."""

from typing import Any


class BadInput(ValueError):
    """Input that cannot be run: the value, the reason and the fix, in one sentence. Entry points exit with 2."""

    def __str__(self) -> str:
        """On one line, whatever line breaks the names and texts have that it quotes."""
        return " ".join(super().__str__().split())


def reason(error: BaseException) -> str:
    """What a library says of an error, short enough for a sentence."""
    said = str(error).strip()
    return said.splitlines()[0][:120] if said else type(error).__name__


def at_least(low: int, options: Any, *names: str, where: str) -> None:
    """Raise BadInput for the first of these options that is smaller; None is not looked at."""
    for name in names:
        if (value := getattr(options, name)) is not None and value < low:
            raise BadInput(f"{where}.{name}={value} must be at least {low}.")
