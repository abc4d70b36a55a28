"""Sentences of the README that state results, written between their markers from the committed records.

    <!-- results: engine_quality -->
    ...
    <!-- /results -->

reports/readme.yaml holds a text for each such name, and for every number in it the path where it stands (`numbers.py`):

    engine_quality:
      records: {gpu: engine_quality-508303d73655-bb1167}
      numbers:
        fid: gpu/arms/fast/metrics/fid
      text: The fast engine's FID is {fid:.2f} ({gpu}).

`{gpu}` reads as study, device and N, and every record of a text must be named in it so. Records go by their ids: whoever
replaces one reads the sentences about it again.
"""

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Any

import yaml

from sdaccel.errors import BadInput, choices
from sdaccel.records.view import Record
from sdaccel.reporting.numbers import Expression, Numbers
from sdaccel.samples import atomic_write

MARKED = re.compile(r"<!-- results: ([\w-]+) -->\n(.*?)<!-- /results -->", re.DOTALL)
WIDTH = 120
"""Columns of a line; rows of tables are as long as they are."""
WHOLE = re.compile(r"N = \d+|\d+ rounds|-?[\d.]+(?: %)? \[[^]]*\]|[\d.]+ %")
"""What no line break comes into."""


@dataclass(frozen=True)
class Lines:
    records: Mapping[str, str]
    """What its paths call a record -> the record's id."""
    text: str
    """Paragraphs and rows of tables, one a line."""
    numbers: Mapping[str, Expression]
    """Name in the text -> where it stands."""


def refresh(reports: Path, records: Sequence[Record]) -> list[Path]:
    """The README beside reports/, written anew where a number changed; elsewhere than in a checkout there is none."""
    readme, lines = reports.resolve().parent / "README.md", reports / "readme.yaml"
    if not (readme.is_file() and lines.is_file()):
        return []
    old = readme.read_text(encoding="utf-8")
    new = filled(old, read(lines), records)
    if new != old:
        atomic_write(readme, new.encode())
    return [readme]


def read(path: Path) -> dict[str, Lines]:
    """Every text by its name."""
    try:
        return {name: Lines(**{"numbers": {}} | entry) for name, entry in yaml.safe_load(path.read_bytes()).items()}
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} is no file of texts ({error}); an entry has records, text and numbers.") from None


def filled(readme: str, lines: Mapping[str, Lines], records: Sequence[Record]) -> str:
    """The README with every text in its place."""
    marked = [match[1] for match in MARKED.finditer(readme)]
    for name in {*marked, *lines}:
        if marked.count(name) != 1 or name not in lines:
            raise BadInput(f"results {name} must stand once in README.md and in reports/readme.yaml; add or remove it there.")
    if not len(marked) == readme.count("<!-- results:") == readme.count("<!-- /results -->"):
        raise BadInput("README.md has a marker without its partner; write <!-- results: NAME -->, the text, <!-- /results -->.")

    def one(match: re.Match[str]) -> str:
        try:
            text = told(lines[match[1]], records)
        except BadInput as error:
            line = readme.count("\n", 0, match.start()) + 1
            raise BadInput(f"README.md is left as it was: in line {line}, results {match[1]}, {error}") from None
        return f"<!-- results: {match[1]} -->\n{text}\n<!-- /results -->"

    return MARKED.sub(one, readme)


def told(lines: Lines, records: Sequence[Record]) -> str:
    """A text with its numbers, in lines."""
    there = {record.id: record for record in records}
    if missing := [name for name in lines.records.values() if name not in there]:
        raise BadInput(f"record {missing[0]} is not in reports/results; {choices(missing[0], there)}")
    own = {name: there[identifier] for name, identifier in lines.records.items()}
    asked = _asked(lines.text)
    if wrong := asked ^ {*own, *lines.numbers}:
        raise BadInput(f"{{{min(wrong)}}} must be in the text and in its records or numbers; add or remove it.")
    numbers = Numbers(own)
    values: dict[str, Any] = {name: numbers(expression) for name, expression in lines.numbers.items()}
    try:
        text = lines.text.format_map(values | {name: source(record) for name, record in own.items()})
    except BadInput:
        raise
    except (ValueError, AttributeError) as error:
        raise BadInput(
            f"its text cannot be filled ({error}); write {{NAME:.2f}}, {{NAME:.0%}} or {{NAME.alone:.2f}}."
        ) from None
    return "\n".join(map(_wrapped, text.strip().splitlines()))


def _asked(text: str) -> set[str]:
    try:
        return {field.partition(".")[0] for _, field, _, _ in Formatter().parse(text) if field is not None}
    except ValueError as error:
        raise BadInput(f"its text cannot be read ({error}); double a brace that is no name's.") from None


def source(record: Record) -> str:
    """Study, device and N, of clocks alone the rounds; and what a reader has to know of it."""
    rounds = [timed.seconds.n for timed in record.timing.arms.values()]
    rounds += [timed.seconds.n for case in record.timing.cases.values() for timed in case.arms.values()]
    counted = f"{rounds[0]} rounds" if rounds and not record.measured else f"N = {len(record.conditions)}"
    verdict = (record.again or record).verdict
    said = f"verdict {verdict}" if verdict in ("open", "fail") else ""
    return ", ".join(filter(None, [f"`{record.study.name}`", device(record), counted, record.weights, said]))


def device(record: Record) -> str:
    """Of a GPU its name, without its maker's."""
    return "CPU" if record.provenance.device == "cpu" else record.provenance.device_name.removeprefix("NVIDIA ")


def _wrapped(line: str) -> str:
    if line.startswith("|"):
        return line
    held = WHOLE.sub(lambda match: match[0].replace(" ", "\0"), line)
    return textwrap.fill(held, WIDTH, break_long_words=False, break_on_hyphens=False).replace("\0", " ")
