"""An option of the command line has an effect or is refused: what reaches no arm, or one side of a comparison alone."""

from collections.abc import Iterator, Sequence

from sdaccel.errors import BadInput
from sdaccel.studies.arms import GROUPS, Arm
from sdaccel.studies.checks.base import Check, partner

NAMED = 6
"""Arms that a sentence names."""


def check_reach(overrides: Sequence[str], arms: Sequence[Arm], checks: Sequence[Check], *, baseline: str) -> None:
    """Raise BadInput for the first override of generator, backend, strategy or calibration that does not do what it says."""
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0]
        package = key.partition("@")[2]  # generator@strategy.draft chooses a part of the strategy
        key = package or key
        if key.split(".")[0] in (*GROUPS, "calibration"):
            takers = [arm for arm in arms if arm.generator.seam is not None] or arms  # others show pictures that are there
            reached = {arm.name for arm in (arms if key.startswith("generator") else takers) if reaches(key, arm)}
            if not reached:
                raise BadInput(_idle(override, key, arms))
            _check_sides(override, key, reached, arms, checks, baseline)


def reaches(key: str, arm: Arm) -> bool:
    """The arm takes this option, or the choice of this group, from the whole study."""
    group, _, option = key.partition(".")
    if group == "calibration":
        return not {"strategy", "backend"} <= arm.own
    if group in arm.own:
        return False
    return not option or not any(key == own or key.startswith(f"{own}.") for own in arm.own)


def _idle(override: str, key: str, arms: Sequence[Arm]) -> str:
    group, _, option = key.partition(".")
    value = override.partition("=")[2]
    templates = list(dict.fromkeys(arm.template for arm in arms if not arm.mutant))
    some = ", ".join(templates[:NAMED]) + (", ..." if len(templates) > NAMED else "")
    inside = option if group == "strategy" and option else key
    what = f"name a {group} of their own" + (f" or set {option}" if option else "")
    return (
        f"{override} has no effect, since all arms of this study {what}; write study.arms.NAME.{inside}={value} "
        f"with one of {some}."
    )


def _check_sides(
    override: str, key: str, reached: set[str], arms: Sequence[Arm], checks: Sequence[Check], baseline: str
) -> None:
    """What is compared gets it on both sides or on none; an arm that is the study's own choice alone may differ by it."""
    group = key.split(".")[0]
    honest = [arm for arm in arms if not arm.mutant]
    for control in (arm for arm in arms if arm.mutant):
        models = [arm for arm in honest if arm.template == control.stands_for]
        if models and (control.name in reached) != any(arm.name in reached for arm in models):
            _refuse(override, control, models[0], reached)
    if group == "generator":  # a comparison of models, which name their own
        return
    for arm, other in _compared(honest, checks, baseline):
        if arm.name in reached and other.name not in reached and not _takes(arm, group):
            _refuse(override, arm, other, reached)


def _compared(arms: Sequence[Arm], checks: Sequence[Check], baseline: str) -> Iterator[tuple[Arm, Arm]]:
    """Every arm with what it is held against, by a check or by the study's own baseline."""
    for check in checks:
        for arm in check.judged(arms) if check.compares else ():
            yield arm, partner(arm, check.arms[0], arms)
    for arm in arms:
        if measured := arm.baseline(baseline, arms):
            yield arm, measured


def _takes(arm: Arm, group: str) -> bool:
    """It is meant to take what the study chooses: it sets nothing of its own, or options of that choice."""
    return not arm.own or any(own.startswith(f"{group}.") for own in arm.own)


def _refuse(override: str, arm: Arm, other: Arm, reached: set[str]) -> None:
    got, without = (arm, other) if arm.name in reached else (other, arm)
    raise BadInput(
        f"{override} reaches arm {got.name} and not {without.name}, which it is compared with; "
        f"set it in study.arms of the arms that are meant."
    )
