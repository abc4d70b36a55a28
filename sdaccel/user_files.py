"""Files that a user names: what is no readable file of a sensible size is refused in one sentence, and never read whole."""

import json
import stat
from pathlib import Path
from typing import Any

import yaml

from sdaccel.errors import BadInput, reason

LARGEST = 64 * 2**20
"""Bytes of a file that is read as text: a million prompts, or ten times the largest tokenizer."""


def check_file(path: Path, *, option: str, fix: str) -> int:
    """The size of a regular file that may be read; a pipe would wait for ever and a device never end."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise BadInput(f"{option}={path} is a folder; {fix}.")
        if not stat.S_ISREG(found.st_mode):
            raise BadInput(f"{option}={path} is no regular file; {fix}.")
        path.open("rb").close()
    except FileNotFoundError:
        raise BadInput(f"{option}={path} does not exist; {fix}.") from None
    except OSError as error:
        raise BadInput(f"{option}={path} cannot be read ({error.strerror}); {fix}.") from None
    return found.st_size


def text_of(path: Path, *, option: str, fix: str) -> str:
    """The UTF-8 text of such a file."""
    size = check_file(path, option=option, fix=fix)
    if size > LARGEST:
        raise BadInput(f"{option}={path} has {size / 2**20:.0f} MiB where {LARGEST / 2**20:.0f} are read at most; {fix}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{option}={path} is not UTF-8 text (byte {error.start}); {fix}.") from None
    except OSError as error:
        raise BadInput(f"{option}={path} cannot be read ({error.strerror}); {fix}.") from None
    if "\0" in text:
        raise BadInput(f"{option}={path} holds NUL bytes, so it is a binary file; {fix}.")
    return text


def json_of(path: Path, *, option: str, fix: str) -> dict[str, Any]:
    """The JSON object that such a file holds."""
    try:
        found = json.loads(text_of(path, option=option, fix=fix))
    except (json.JSONDecodeError, RecursionError) as error:
        raise BadInput(f"{option}={path} is not JSON ({reason(error)}); {fix}.") from None
    if not isinstance(found, dict):
        raise BadInput(f"{option}={path} holds no JSON object; {fix}.")
    return found


def yaml_of(path: Path, *, option: str, fix: str) -> dict[str, Any]:
    """The options by name that such a YAML file holds."""
    text = text_of(path, option=option, fix=fix)
    try:
        found = yaml.safe_load(text)
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:  # of broken dates and tags
        raise BadInput(f"{option}={path} is not YAML ({reason(error)}); {fix}.") from None
    if not isinstance(found, dict):
        raise BadInput(f"{option}={path} holds {type(found).__name__} and not options by name; {fix}.")
    return found
