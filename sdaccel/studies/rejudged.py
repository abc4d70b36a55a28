"""Verdicts of a record once more: by the rules of its format, or of a record of today by the checks themselves."""

from collections.abc import Iterator, Sequence

from sdaccel.errors import BadInput
from sdaccel.records import verdicts
from sdaccel.records.findings import DIGITS, Findings, close
from sdaccel.records.view import Check as Verdict
from sdaccel.records.view import Record
from sdaccel.studies import judging
from sdaccel.studies.checks.base import Check, parse

WORDS = {True: "pass", False: "fail", None: "open"}
ENDS = 0.05
"""Of an interval's width: values have six digits, the run had them all."""


def rejudged(record: Record) -> Findings:
    if record.content.get("format", 1) <= verdicts.LAST:
        return verdicts.rejudged(record)
    checks, unseen = list[Check](), list[str]()
    for spec in record.content["config"]["study"].get("checks", []):
        try:
            checks.append(parse(spec))
        except BadInput as error:
            unseen.append(f"a check of another version, or of a package that is not here ({error})")
    found = judging.verdicts_of(record, checks)
    differs = [line for row in found for line in _differ(record, row)]
    if not unseen:
        differs += [*_unasked(record, found), *_whole(record, found)]
    return Findings(f"{len(found)} of {len(record.checks)} verdicts from figures and values", differs, unseen)


def _called(row: Verdict) -> str:
    return f"verdict {row.check} of {row.arm}"


def _key(row: Verdict) -> tuple[str, str, str, str, float]:
    return row.check, row.arm, row.against, row.relation, row.bound


def _unasked(record: Record, found: Sequence[Verdict]) -> Iterator[str]:
    known = {_key(row) for row in found}
    for row in record.checks:
        if _key(row) not in known:
            yield f"{_called(row)}: the configuration asks for no value {row.relation} {row.bound:g}"


def _differ(record: Record, found: Verdict) -> Iterator[str]:
    rows = [row for row in record.checks if _key(row) == _key(found)]
    if not rows:
        yield f"there is no {_called(found)}"
        return
    row, name, evidence = rows[0], found.check.partition(" ")[0], found.evidence
    within = DIGITS * abs(found.measured or 0)
    if evidence is not None and evidence.low is not None and evidence.high is not None:
        within = max(within, ENDS * (evidence.high - evidence.low))
    if row.passed is not found.passed or not close(row.measured, found.measured, within=within):
        said, made = (f"{v.measured} ({WORDS[v.passed]})" for v in (row, found))
        yield f"{_called(row)}: {said}, and by its figures {made}"
    if name in verdicts.OF_SAMPLES:
        yield from (f"{_called(row)}: {line}" for line in verdicts.OF_SAMPLES[name](record, row))


def _whole(record: Record, found: Sequence[Verdict]) -> Iterator[str]:
    made, reasons = judging.concluded(record, found, {})
    if record.verdict != made:
        yield f"the whole is {record.verdict}, its verdicts make it {made}"
    if len(record.failures) != len(reasons):
        yield f"{len(record.failures)} reasons to fail are given, its verdicts give {len(reasons)}"
