"""What a page calls things in sentences: the question, its arms, and what was measured on."""

from sdaccel.records.view import Arm, Record
from sdaccel.reporting import series
from sdaccel.reporting.readme import device


def question(record: Record) -> str:
    """As the study asks it, or what a run without one is about."""
    if record.study.question:
        return record.study.question
    if record.bench:
        return f"What does {record.bench.name} cost, part by part, beside the least it could?"
    others = [arm for arm in record.arms.values() if arm.template != record.study.baseline]
    names = list(dict.fromkeys(_method(arm) for arm in others))
    made = ", ".join(dict.fromkeys(arm.generator.name for arm in record.arms.values()))
    return f"What does {', '.join(names)} buy on {made}, and what does it cost?" if names else f"What does {made} make?"


def called(record: Record) -> dict[str, str]:
    """Arm -> its name for sentences; the arm of a run without a study is told by what it does."""
    names = series.labels(record.arms)
    if record.study.name == "sample" and names.get("run") == "run":
        names |= {"run": f"run ({_method(record.arms['run'])})"}
    return names


def source(record: Record) -> str:
    """Device, N or rounds, and whether weights are random."""
    rounds = [timed.seconds.n for timed in record.timing.arms.values()]
    rounds += [timed.seconds.n for case in record.timing.cases.values() for timed in case.arms.values()]
    number = [f"N = {len(record.conditions)}"] if record.arms else []
    timed = [f"{max(rounds)} rounds"] if rounds else []
    return ", ".join([device(record), *number, *timed, *([record.weights] if record.weights else [])])


def _method(arm: Arm) -> str:
    return arm.strategy.name if arm.backend.name == "dense" else f"{arm.strategy.name} on {arm.backend.name}"
