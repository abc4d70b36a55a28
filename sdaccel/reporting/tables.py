"""Tables of a record: CSV holds its values digit for digit, LaTeX (booktabs) and HTML show them rounded."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from sdaccel.records.outline import outline_of
from sdaccel.records.view import Check, Record
from sdaccel.reporting import registry
from sdaccel.reporting.ceilings import DECODE_OUT
from sdaccel.reporting.cells import Cell, Range, Table, digits, shown
from sdaccel.reporting.registry import table
from sdaccel.reporting.series import marked, weighted

LONG = 40
"""Rows from which a LaTeX table may break over pages."""
ESCAPES = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {c: f"\\{c}" for c in "&%$#_{}"}
UNICODE = {"≥": r"$\geq$", "×": r"$\times$", "·": r"$\cdot$", "−": "$-$", "–": "--", "[": "{[}", "]": "{]}"}
"""Brackets are braced: after \\\\ LaTeX would read one as an optional length."""


VERDICTS = {True: "pass", False: "fail", None: "open"}
EVIDENCE = ("p", "p (Holm)", "power", "would show")
"""Columns of records that have a check by an interval, the last one the smallest distance to the bound that mostly shows."""


@table(name="summary", place=10)
def summary(record: Record) -> Table:
    """Per check the worst honest arm, then each control at the check that must fail it."""
    rows: list[tuple[Cell, ...]] = []
    groups: dict[tuple[Cell, ...], list[Check]] = {}
    for v in record.checks:
        if not v.control:
            groups.setdefault((v.check, v.relation, v.bound), []).append(v)
    for (check, _, _), honest in groups.items():
        worst = max(honest, key=_badness)
        passed = sum(v.passed is True for v in honest)
        verdict = "FAIL" if any(v.passed is False for v in honest) else "pass" if passed == len(honest) else "open"
        arms = f"{passed}/{len(honest)} arms"
        if len(honest) == 1:
            arms = f"{worst.arm} against {worst.against}" if worst.against else worst.arm
        rows.append((check, arms, _measured(worst), _bound(worst), *_compact(worst, record), verdict))
    for name, arm in record.arms.items():
        if arm.control:
            (found,) = [v for v in record.checks if v.arm == name and v.check == arm.control.fails]
            verdict = {True: "NOT CAUGHT", False: "caught", None: "not judged"}[found.passed]
            rows.append((found.check, f"control {name}", _measured(found), found.bound, *_compact(found, record), verdict))
    pairs = ("p, by Holm", "power, would show") if _sure(record) else ()
    columns = ("check", "arms", "worst", "bound", *pairs, "verdict")
    return Table(columns, rows, missing="not finite")


@table(name="judged_again", place=15)
def judged_again(record: Record) -> Table:
    """The summary by checks of a later day."""
    return summary(record.again) if record.again else Table((), [])


def undecided(record: Record) -> list[str]:
    """What these samples do not tell; a control counts at the check that must fail it."""
    controls = {name: arm.control for name, arm in record.arms.items()}
    return [
        f"{v.check} of {v.arm}: {v.where}"
        for v in record.checks
        if v.passed is None and ((control := controls[v.arm]) is None or control.fails == v.check)
    ]


def _badness(check: Check) -> tuple[float, float]:
    """The worst fails, then what is open; of these what is not finite, then what lies furthest on the wrong side."""
    rank = {False: 2, None: 1, True: 0}[check.passed]
    if check.measured is None:
        return rank, float("inf")
    return rank, -check.measured if check.relation == ">=" else check.measured


def _measured(check: Check) -> Cell:
    """With its interval, where it was judged by one."""
    if (found := check.evidence) and check.measured is not None:
        return Range(check.measured, found.low, found.high)
    return "too few samples" if check.passed is None else check.measured


def _sure(record: Record) -> bool:
    return any(v.evidence for v in record.checks)


def _evidence(check: Check, record: Record) -> tuple[Cell, ...]:
    """Nothing in records without any; a dash where a check has none."""
    if not _sure(record):
        return ()
    if (found := check.evidence) is None:
        return ("–",) * len(EVIDENCE)
    return found.p, _or_dash(found.adjusted), _or_dash(found.power), _or_dash(found.detectable)


def _compact(check: Check, record: Record) -> tuple[Cell, ...]:
    """Two by two; a p far out in the tail is no number to read."""
    if not (cells := _evidence(check, record)):
        return ()
    p, adjusted = ("<0.0001" if isinstance(cell, float) and cell < 1e-4 else shown(cell, missing="–") for cell in cells[:2])
    power, shows = (shown(cell, missing="–") for cell in cells[2:])
    return f"{p}, {adjusted}", f"{power}, {shows}"


def _or_dash(value: float | None) -> Cell:
    return "–" if value is None else value


def _bound(check: Check) -> Cell:
    """A number where no more is allowed, as in most checks; what has to be reached says so."""
    return f"≥ {check.bound:g}" if check.relation == ">=" else check.bound


@table(name="verdicts", place=20)
def verdicts(record: Record) -> Table:
    """Every verdict; a control must fail one check and may do as it likes at the others."""
    rows: list[tuple[Cell, ...]] = []
    for v in record.checks:
        control = record.arms[v.arm].control
        role = "" if control is None else "must fail" if control.fails == v.check else "either"
        evidence = _evidence(v, record)
        rows.append((v.check, v.arm, v.against, _measured(v), _bound(v), *evidence, VERDICTS[v.passed], role))
    columns = ("check", "arm", "against", "measured", "bound", *(EVIDENCE if _sure(record) else ()), "verdict", "control")
    return Table(columns, rows, missing="not finite")


@table(name="arms", place=30)
def arms(record: Record) -> Table:
    """What every arm computed, what that allows at best, and how its images compare."""
    kinds = list(dict.fromkeys(kind for arm in record.arms.values() for kind in arm.kinds))
    columns = ("arm", "strategy", "planted bug", *kinds, DECODE_OUT, "against", "PSNR (dB)", "identical", "images")
    rows: list[tuple[Cell, ...]] = []
    for name, arm in record.arms.items():
        counts = [arm.kinds.get(kind, 0) for kind in kinds]
        mutant, paired = arm.control.mutant if arm.control else "", arm.paired
        pixels: tuple[Cell, ...] = ("", None, None, len(record.conditions))
        if paired:
            pixels = paired.against, paired.psnr, paired.identical, paired.n
        rows.append((weighted(marked(name, arm), arm), arm.strategy.name, mutant, *counts, arm.mac_ceiling, *pixels))
    return Table(columns, rows)


def tables(record: Record, *names: str) -> dict[str, Table]:
    """All tables, or those of these names, that have something to say of this record."""
    known, outline = registry.tables(), outline_of(record)
    made = {name: known[name].make(record) for name in names or known if known[name].needs(outline) is None}
    return {name: found for name, found in made.items() if found.rows}


def to_csv(table: Table) -> str:
    """Numbers as JSON writes them, which is as the record holds them; an interval, or why there is none, in own columns."""
    columns = [[row[i] for row in table.rows] for i in range(len(table.columns))]
    heads = [_heads(name, cells) for name, cells in zip(table.columns, columns, strict=True)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([head for group in heads for head in group])
    for row in table.rows:
        cells = [part for cell, group in zip(row, heads, strict=True) for part in _parts(cell)[: len(group)]]
        writer.writerow(["" if c is None else c if isinstance(c, str) else json.dumps(c) for c in cells])
    return out.getvalue()


def _heads(name: str, cells: list[Cell]) -> list[str]:
    found = [cell for cell in cells if isinstance(cell, Range)]
    ends = ["low", "high"] * bool(found) + ["note"] * any(cell.note for cell in found)
    return [name, *(f"{name} {end}" for end in ends)]


def _parts(cell: Cell) -> list[Any]:
    return [cell.estimate, cell.low, cell.high, cell.note] if isinstance(cell, Range) else [cell, None, None, None]


def to_latex(table: Table) -> str:
    """A table to \\input: one that fits a page as tabular, a longer one as longtable."""
    layout = "".join("r" if number else "l" for number in table.numeric)
    head = " & ".join(map(escape, table.columns)) + r" \\"
    body = [" & ".join(_latex_cell(cell, table.missing) for cell in row) + r" \\" for row in table.rows]
    if len(table.rows) < LONG:
        lines = [f"\\begin{{tabular}}{{{layout}}}", r"\toprule", head, r"\midrule", *body, r"\bottomrule", r"\end{tabular}"]
        return "\n".join([r"% \usepackage{booktabs}", *lines, ""])
    start = [f"\\begin{{longtable}}{{{layout}}}", r"\toprule", head, r"\midrule", r"\endhead", r"\bottomrule", r"\endfoot"]
    return "\n".join([r"% \usepackage{booktabs,longtable}", *start, *body, r"\end{longtable}", ""])


def escape(text: str) -> str:
    """Text that LaTeX sets as it stands."""
    return "".join(ESCAPES.get(c) or UNICODE.get(c) or c for c in text)


def _latex_cell(cell: Cell, missing: str) -> str:
    if isinstance(cell, Range):
        interval = f" {{\\scriptsize {escape(cell.interval)}}}" if cell.interval else ""
        return _latex_number(digits(cell.estimate)) + interval
    text = shown(cell, missing=missing)
    return _latex_number(text) if isinstance(cell, int | float) else escape(text)


def _latex_number(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    return f"${mantissa} \\times 10^{{{int(exponent)}}}$" if exponent else mantissa


def write(record: Record, folder: Path) -> list[Path]:
    """Every table as CSV and LaTeX."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, found in tables(record).items():
        for suffix, text in (("csv", to_csv(found)), ("tex", to_latex(found))):
            path = folder / f"{name}.{suffix}"
            path.write_bytes(text.encode())
            paths.append(path)
    return paths
