"""What speculation could buy at measured prices: speed-up over the acceptance of a scale, and the break-even."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sdaccel.records.outline import Outline
from sdaccel.records.timing import Quantiles
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Table, spanned
from sdaccel.reporting.registry import figure, table
from sdaccel.strategies.speculative.expectation import expected, prices_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = [i / 100 for i in range(101)]
COLOURS = (style.SKY, style.BLUE, style.ORANGE, style.VERMILLION, style.PURPLE, style.GREEN)
"""By gamma."""
BAR = 0.1
"""Relative error up to which the sum of parts fits the clock."""


def scales_of(found: Mapping[str, Quantiles]) -> int:
    return sum(name.startswith("rollback ") for name in found)


def alone(record: Record, case: str) -> float:
    """Seconds of the target's generation, decoder included."""
    return record.timing.cases[case].arms["target"].seconds.p50


def rounds(record: Record) -> int:
    """Of every part, generation and run."""
    return max(part.n for parts in record.timing.parts.values() for part in parts.values())


def gammas_of(record: Record) -> list[int]:
    """Scales that are proposed at once, as they were measured."""
    return list(record.bench.options["gammas"]) if record.bench and record.timing.parts else []


def speedup(record: Record, case: str, *, acceptance: float, gamma: int) -> float:
    """Over the target alone, where every scale stands with this probability."""
    found = record.timing.parts[case]
    each = [acceptance] * (scales_of(found) - 1)
    prices = prices_of({name: part.p50 for name, part in found.items()})
    return alone(record, case) / expected(prices, each, gamma=gamma)


def break_even(rates: Sequence[float], speedups: Sequence[float]) -> float | None:
    """The least acceptance from which speculation is no slower; None: it always is."""
    return next((a for a, s in zip(rates, speedups, strict=True) if s >= 1), None)


def priced_parts(outline: Outline) -> str | None:
    return None if outline.bench == "speculation" else "the parts that sdaccel bench +bench=speculation prices."


@table(name="speculation_bound", place=150, needs=priced_parts)
def bound_table(record: Record) -> Table:
    """A row per batch size and gamma."""
    shares = (f"accepting {share} (×, decode in)" for share in ("nothing", "half", "0.9", "everything"))
    columns = ("case", "rounds", "gamma", *shares, "breaks even at")
    rows: list[tuple[Cell, ...]] = []
    for case in record.timing.parts:
        for gamma in gammas_of(record):
            at = [speedup(record, case, acceptance=a, gamma=gamma) for a in RATES]
            shown = style.titled(record, case)
            rows.append((shown, rounds(record), gamma, at[0], at[50], at[90], at[100], break_even(RATES, at)))
    return Table(columns, rows, missing="never")


@table(name="speculation_parts", place=160, needs=priced_parts)
def parts_table(record: Record) -> Table:
    """Milliseconds by scale: a proposal, the target alone, and its pass over this scale and the next gamma ones."""
    gammas = gammas_of(record)
    passes = [f"pass over {g + 1} from it" for g in (0, *gammas)]
    names = ("draft", "target alone, taken back and redone", *passes)
    columns = ("case", "rounds", "scale", *(f"{name} (ms) [p10, p90]" for name in names))
    rows: list[tuple[Cell, ...]] = []
    for case, found in record.timing.parts.items():
        for k in range(scales_of(found)):
            parts = [f"draft {k}-{k}", f"rollback {k}", *(f"verify {k}-{k + g}" for g in (0, *gammas))]
            times = (spanned(found[part], times=1e3) if part in found else None for part in parts)
            rows.append((style.titled(record, case), rounds(record), k, *times))
    return Table(columns, rows)


@table(name="speculation_fit", place=170, needs=priced_parts)
def fit_table(record: Record) -> Table:
    """The sum of parts beside the clock."""
    parts, clock = "sum of parts (ms, decode in)", "clock (ms, decode in)"
    columns = ("run of the trained pair", "rounds", parts, clock, "ratio", f"within {BAR:.0%}")
    rows: list[tuple[Cell, ...]] = []
    whole = record.timing.fit
    for name, fit in ({**whole.images, "all": whole} if whole else {}).items():
        ratio = fit.predicted / fit.measured
        fits = "yes" if abs(ratio - 1) <= BAR else "no"
        rows.append((name, rounds(record), 1e3 * fit.predicted, 1e3 * fit.measured, ratio, fits))
    return Table(columns, rows)


def held(record: Record) -> dict[str, tuple[int, int]]:
    """Case -> bytes of the target alone and of both models, where they were measured."""
    out = {}
    for case in record.timing.parts:
        one, two = [arm.memory_bytes for arm in list(record.timing.cases[case].arms.values())[:2]]
        if one and two:
            out[case] = (one, two)
    return out


@table(name="speculation_memory", place=180, needs=priced_parts)
def memory_table(record: Record) -> Table:
    """MiB of the target alone and of both models."""
    rows: list[tuple[Cell, ...]] = []
    for case, (one, two) in held(record).items():
        rows.append((style.titled(record, case), one / 2**20, two / 2**20, 100 * (two / one - 1)))
    return Table(("case", "target (MiB)", "target + draft (MiB)", "more (%)"), rows)


@figure(needs=priced_parts)
def speculation_bound(record: Record) -> "Figure":
    """A panel per batch size; the bold dot is where a line crosses 1."""
    found = record.timing.parts
    figure = style.blank(style.PAGE if len(found) > 1 else style.COLUMN, 2.6)
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    more = {case: f", memory +{100 * (two / one - 1):.0f} %" for case, (one, two) in held(record).items()}
    for axes, case in zip(panels, found, strict=True):
        for colour, gamma in zip(COLOURS, gammas_of(record), strict=False):
            at = [speedup(record, case, acceptance=a, gamma=gamma) for a in RATES]
            axes.plot(RATES, at, color=colour, label=f"γ = {gamma}")
            if (even := break_even(RATES, at)) is not None:
                axes.plot(even, 1, "o", color=colour, markersize=3.6)
        axes.axhline(1, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)), label="the target alone")
        axes.set_xlabel("probability that a scale stands")
        axes.set_title(f"{case}, {rounds(record)} rounds" + more.get(case, ""))
        axes.set_xlim(0, 1)
    panels[0].set_ylabel("speed-up, decode in (×)")
    panels[0].set_ylim(bottom=0)
    style.legend(figure, style.handles(panels[:1]), columns=5 if len(found) > 1 else 3)
    style.question(figure, record, "Which acceptance would speculation need, at the prices that its parts have?")
    return figure
