"""The one exception a user is meant to read."""


class BadInput(ValueError):
    """Input that cannot be run: the value, the reason and the fix, in one sentence. Entry points exit with 2."""
