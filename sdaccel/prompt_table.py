"""Prompts out of the tables that benchmarks publish: DrawBench's .csv, PartiPrompts' .tsv, GenEval's .jsonl."""

import csv
import json
from collections.abc import Callable, Iterable

COLUMNS = ("prompt", "prompts", "caption", "captions", "text")
"""Names of the column that counts, the first that is there, whatever its case."""


def lines(text: str) -> list[str]:
    """One prompt per line."""
    return text.split("\n")


def rows(text: str, *, delimiter: str) -> list[str]:
    """The column of prompts below a header."""
    table = csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True)
    try:
        header = next(table, [])
        place = header.index(column(header))
        return [row[place] if place < len(row) else "" for row in table]
    except csv.Error as error:
        raise ValueError(f"line {table.line_num} is not of a table ({error})") from None


def objects(text: str) -> list[str]:
    """The prompt of the JSON object on every line."""
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                row = json.loads(line)
                prompt = row[column(row)]
            except (TypeError, AttributeError, json.JSONDecodeError, RecursionError):
                raise ValueError(f"line {number} is not a JSON object") from None
            if not isinstance(prompt, str):
                raise ValueError(f"line {number} has a prompt that is no text")
            found.append(prompt)
    return found


def column(names: Iterable[str]) -> str:
    """The name under which the prompts stand."""
    known = {name.strip().lower(): name for name in names}
    for name in COLUMNS:
        if name in known:
            return known[name]
    raise ValueError(f"none of its columns ({', '.join(known) or 'it has none'}) is called {' or '.join(COLUMNS)}")


READERS: dict[str, Callable[[str], list[str]]] = {
    ".csv": lambda text: rows(text, delimiter=","),
    ".tsv": lambda text: rows(text, delimiter="\t"),
    ".jsonl": objects,
}
"""By the file's suffix; everything else is lines."""
