"""What speculation could buy at measured prices: speed-up over the acceptance of a scale, and the break-even."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sdaccel.errors import BadInput
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Range, Table
from sdaccel.strategies.speculative.expectation import expected, prices_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = dict[str, Any]

RATES = [i / 100 for i in range(101)]
COLOURS = (style.SKY, style.BLUE, style.ORANGE, style.VERMILLION, style.PURPLE, style.GREEN)
"""By gamma."""
BAR = 0.1
"""Relative error up to which the sum of parts fits the clock."""


def parts(record: Record) -> dict[str, dict[str, Any]]:
    """Case -> parts by name; nothing in other records."""
    return dict((record["timing"] or {}).get("parts", {}))


def scales_of(found: dict[str, Any]) -> int:
    return sum(name.startswith("rollback ") for name in found)


def alone(record: Record, case: str) -> float:
    """Seconds of the target's generation, decoder included."""
    return float(record["timing"]["cases"][case]["arms"]["target"]["seconds"]["p50"])


def speedup(record: Record, case: str, *, acceptance: float, gamma: int) -> float:
    """Over the target alone, where every scale stands with this probability."""
    found = parts(record)[case]
    each = [acceptance] * (scales_of(found) - 1)
    return alone(record, case) / expected(prices_of(found), each, gamma=gamma)


def break_even(rates: Sequence[float], speedups: Sequence[float]) -> float | None:
    """The least acceptance from which speculation is no slower; None: it always is."""
    return next((a for a, s in zip(rates, speedups, strict=True) if s >= 1), None)


def bound_table(record: Record) -> Table:
    """A row per batch size and gamma."""
    columns = ("case", "gamma", "accepting nothing (×)", "half (×)", "0.9 (×)", "everything (×)", "breaks even at")
    rows: list[tuple[Cell, ...]] = []
    for case in parts(record):
        for gamma in record["content"]["config"]["bench"]["gammas"]:
            at = [speedup(record, case, acceptance=a, gamma=gamma) for a in RATES]
            rows.append((case, gamma, at[0], at[50], at[90], at[100], break_even(RATES, at)))
    return Table("speculation_bound", columns, rows, missing="never")


def parts_table(record: Record) -> Table:
    """Milliseconds by scale: a proposal, the target alone, and its pass over this scale and the next gamma ones."""
    gammas = record["content"]["config"]["bench"]["gammas"] if parts(record) else []
    passes = [f"pass over {g + 1} from it" for g in (0, *gammas)]
    columns = ("case", "scale", "draft (ms)", "target alone, taken back and redone (ms)", *(f"{name} (ms)" for name in passes))
    rows: list[tuple[Cell, ...]] = []
    for case, found in parts(record).items():
        for k in range(scales_of(found)):
            names = [f"draft {k}-{k}", f"rollback {k}", *(f"verify {k}-{k + g}" for g in (0, *gammas))]
            rows.append((case, k, *(_ms(found.get(name)) for name in names)))
    return Table("speculation_parts", columns, rows)


def _ms(found: dict[str, float] | None) -> Cell:
    return None if found is None else Range(1e3 * found["p50"], 1e3 * found["p10"], 1e3 * found["p90"])


def fit_table(record: Record) -> Table:
    """The sum of parts beside the clock."""
    fit = (record["timing"] or {}).get("fit")
    columns = ("run of the trained pair", "sum of parts (ms)", "clock (ms)", "ratio", f"within {BAR:.0%}")
    rows: list[tuple[Cell, ...]] = []
    for name, found in (fit["images"] | {"all": fit} if fit else {}).items():
        ratio = found["predicted"] / found["measured"]
        fits = "yes" if abs(ratio - 1) <= BAR else "no"
        rows.append((name, 1e3 * found["predicted"], 1e3 * found["measured"], ratio, fits))
    return Table("speculation_fit", columns, rows)


def memory_table(record: Record) -> Table:
    """MiB of the target alone and of both models."""
    rows: list[tuple[Cell, ...]] = []
    for case in parts(record):
        one, two = [arm["memory_bytes"] for arm in list(record["timing"]["cases"][case]["arms"].values())[:2]]
        if one and two:
            rows.append((case, one / 2**20, two / 2**20, 100 * (two / one - 1)))
    return Table("speculation_memory", ("case", "target (MiB)", "target + draft (MiB)", "more (%)"), rows)


def speculation_bound(record: Record) -> "Figure":
    """A panel per batch size; the bold dot is where a line crosses 1."""
    from matplotlib.figure import Figure

    found = parts(record)
    if not found:
        raise BadInput("figure speculation_bound draws records of experiments/bench.py +bench=speculation.")
    figure = Figure(figsize=(style.PAGE if len(found) > 1 else style.COLUMN, 2.6))
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    memory = {row[0]: row for row in memory_table(record).rows}
    for axes, case in zip(panels, found, strict=True):
        for colour, gamma in zip(COLOURS, record["content"]["config"]["bench"]["gammas"], strict=False):
            at = [speedup(record, case, acceptance=a, gamma=gamma) for a in RATES]
            axes.plot(RATES, at, color=colour, label=f"γ = {gamma}")
            if (even := break_even(RATES, at)) is not None:
                axes.plot(even, 1, "o", color=colour, markersize=3.6)
        axes.axhline(1, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)), label="the target alone")
        axes.set_xlabel("probability that a scale stands")
        axes.set_title(case + (f", memory +{memory[case][3]:.0f} %" if case in memory else ""))
        axes.set_xlim(0, 1)
    panels[0].set_ylabel("speed-up (×)")
    panels[0].set_ylim(bottom=0)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=5 if len(found) > 1 else 3)
    style.question(figure, "Which acceptance would speculation need, at the prices that its parts have?")
    return figure
