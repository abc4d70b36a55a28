"""Per arm a fingerprint of the code that decides its samples: with other code they are other samples, made anew."""

from sdaccel.closure import closure
from sdaccel.strategies.controls import MUTANTS, OBSERVERS
from sdaccel.studies.arms import Arm

ROOTS = ("sdaccel.predict", "sdaccel.noise", "sdaccel.conditions", "sdaccel.samples", "sdaccel.world")
"""What every sample is a function of, beside the modules of its arm."""


def code_fingerprint(arm: Arm) -> str:
    """Of all code that may run while the arm's samples are made: what its parts import, and what those import."""
    return closure([*ROOTS, *modules_of(arm)]).fingerprint()


def modules_of(arm: Arm) -> list[str]:
    parts = [arm.generator, arm.backend, arm.strategy, *arm.beside.values(), *(OBSERVERS[name] for name in arm.observers)]
    modules = [(part if isinstance(part, type) else type(part)).__module__ for part in parts]
    return modules + ([MUTANTS[arm.mutant].plant.__module__] if arm.mutant else [])
