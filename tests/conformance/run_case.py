"""Run golden cases: `python tests/conformance/run_case.py CASE.json ...`

One line per compared array. Exit 0 when all are within tolerance, 1 when one is not or a case is of no known kind,
2 when a file cannot be read.
"""

import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # runs as a script from any folder

from tests.conformance import cache_cases, forecast_cases, handover_cases, hart_cases, sparse_cases, var_cases, verify_cases
from tests.conformance.cases import Case, Line

FAMILIES = (hart_cases, cache_cases, var_cases, forecast_cases, sparse_cases, handover_cases, verify_cases)


class Unreadable(Exception):
    """A file that is missing, damaged or no case."""


def load(path: Path) -> Case:
    """The case with all of its arrays' files."""
    try:
        case = Case.load(path)
    except (OSError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise Unreadable(f"{path}: cannot be read as a golden case ({error})") from None
    if case.meta.get("arrays") and not case.arrays:
        raise Unreadable(f"{path}: its arrays are missing, {path.with_suffix('.npz').name} should lie beside it")
    return case


def compare(case: Case) -> list[Line] | None:
    """The compared arrays, or None for a kind of case that no family knows."""
    for family in FAMILIES:
        if family.handles(case):
            return family.run(case)
    return None


def report(case: Case) -> bool:
    """Print the case; True when everything is within tolerance."""
    lines = compare(case)
    if not lines:
        print(f"{case.name}: {'unknown kind of case' if lines is None else 'nothing in it could be compared'}")
        return False
    for line in lines:
        verdict = "ok" if line.passed else "FAIL"
        print(f"{case.name}  {line.array}  max error {line.error:.3g}  tolerance {line.tolerance:g}  {verdict}")
    return all(line.passed for line in lines)


def main(paths: list[str]) -> int:
    if not paths:
        print(__doc__)
        return 2
    try:
        cases = [load(Path(path)) for path in paths]
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all([report(case) for case in cases]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
