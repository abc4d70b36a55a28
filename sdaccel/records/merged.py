"""Several records read as one: the arms of all runs side by side, each under a name that says which run it is from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from sdaccel.errors import BadInput
from sdaccel.metrics.metric import of
from sdaccel.records.names import short
from sdaccel.records.timing import Timing
from sdaccel.records.view import Arm, Each, Provenance, Record, Study


@dataclass(frozen=True)
class Merged:
    record: Record
    """With a verdict of nothing: a comparison judges nothing."""
    labels: Sequence[str]
    """Of the runs, in order."""
    caveats: Sequence[str]
    """What of the runs does not stand side by side, and why."""


@dataclass(frozen=True)
class _From:
    """Where an arm of the whole is from."""

    record: Record
    name: str
    renamed: Mapping[str, str]
    """Arms of that record -> their names in the whole."""


def merged(records: Sequence[Record], *, name: str, question: str, command: Sequence[str]) -> Merged:
    """An arm of which all runs have the same samples is there once, as the first of them timed and measured it."""
    for record in records:
        if not record.arms:
            raise BadInput(f"record {record.id} is a benchmark's, which has no pictures; compare runs of studies.")
    said = labels(records)
    shared = set.intersection(*(set(record.folders.values()) for record in records)) if len(records) > 1 else set()
    origin: dict[str, _From] = {}
    for label, record in zip(said, records, strict=True):
        renamed = _renamed(record, label, shared)
        for old, new in renamed.items():
            origin.setdefault(new, _From(record, old, renamed))
    alike = all(record.conditions == records[0].conditions for record in records)
    suites = [record for record in records if _suite(record) == _suite(records[0])]
    arms = {new: _arm(new, source, sets=alike, measured=source.record in suites) for new, source in origin.items()}
    timed = {new: source.record.timing.arms.get(source.name) for new, source in origin.items()}
    first = records[0]
    base = next((n for n, s in origin.items() if n == s.name and s.record.arms[n].template == first.study.baseline), "")
    whole = Record(
        study=Study(name, question, base),
        arms=arms,
        id=name,
        timing=Timing(
            batch_size=first.timing.batch_size,
            arms={n: replace(t, baseline=origin[n].renamed.get(t.baseline or "")) for n, t in timed.items() if t},
        ),
        conditions=_prefix([record.conditions for record in records]),
        provenance=_provenance(records, command),
        folders={new: source.record.folders[source.name] for new, source in origin.items()},
        content={"config": {"arms": [record.content["config"]["arms"] for record in records]}},
    )
    return Merged(whole, said, [*_caveats(records, alike=alike, suites=suites, base=base)])


def labels(records: Sequence[Record]) -> list[str]:
    """What tells each run from the others: the words of its command that not all have, or its id."""
    commands = [record.provenance.command[1:] for record in records]
    common = set.intersection(*map(set, commands))
    own = [" ".join(short(_bare(word)) for word in words if word not in common) for words in commands]
    return own if all(own) and len(set(own)) == len(own) else [record.id for record in records]


def _bare(word: str) -> str:
    for start in ("+exp=", "strategy.", "strategy=", "generator="):
        if word.startswith(start):
            return word.removeprefix(start)
    return word


def _renamed(record: Record, label: str, shared: set[str]) -> dict[str, str]:
    """Every arm but controls; the one arm of a run's own goes by the run's label."""
    names = [name for name, arm in record.arms.items() if not arm.control]
    own = [name for name in names if record.folders.get(name) not in shared]
    return {name: name if name not in own else label if len(own) == 1 else f"{label} {name}" for name in names}


def _arm(name: str, source: _From, *, sets: bool, measured: bool) -> Arm:
    """`sets`: of the same samples, so that distances between sets, and values one by one, can be compared."""
    arm = source.record.arms[source.name]
    paired = arm.paired and replace(arm.paired, against=source.renamed[arm.paired.against])
    kept = {metric: found for metric, found in arm.metrics.items() if measured and (sets or of(metric).each)}
    each = arm.each if sets else lambda: Each(arm.each().samples)
    return replace(arm, name=name, template=name, point={}, paired=paired, metrics=kept, each=each)


def _prefix(conditions: Sequence[Sequence[str | int]]) -> list[str | int]:
    """Those at the start that all runs have."""
    return [each[0] for each in takewhile(lambda each: len(set(each)) == 1, zip(*conditions, strict=False))]


def _suite(record: Record) -> object:
    return record.content["config"].get("metrics")


def _provenance(records: Sequence[Record], command: Sequence[str]) -> Provenance:
    """Of the first, where all ran on the same."""
    first = records[0].provenance
    same = all((r.provenance.device, r.provenance.device_name) == (first.device, first.device_name) for r in records)
    return replace(first, command=command) if same else Provenance(command, device_name="several devices")


def _caveats(records: Sequence[Record], *, alike: bool, suites: Sequence[Record], base: str) -> list[str]:
    counts = sorted({len(record.conditions) for record in records})
    said = ["A comparison of runs judges nothing; the verdict of each stands beside it."]
    if not alike:
        number = f"N = {counts[0]}" if len(counts) == 1 else f"N from {counts[0]} to {counts[-1]}"
        said.append(f"The runs have other conditions ({number}): distances between sets and differences by pairs are left out.")
    if len(suites) < len(records):
        others = ", ".join(record.id for record in records if record not in suites)
        said.append(f"Measured by other networks or references than the first run, so without metrics here: {others}.")
    if any(record.timing.arms for record in records):
        said.append("Speed-ups are each run's own: its arms took turns in one process, those of two runs did not.")
    if not base:
        said.append("No arm is the same in all runs, so each is compared with its own run's baseline alone.")
    return said
