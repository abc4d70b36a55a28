"""Measured times of the arms of a study, beside the speed-up that their skipped multiply-accumulates would allow."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sdaccel.measure.speedup import Speedup
from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import series, style
from sdaccel.reporting.ceilings import DECODE_IN, DECODE_OUT, with_decoder
from sdaccel.reporting.cells import Cell, Table, faster, spanned
from sdaccel.reporting.registry import figure, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SECONDS, SPEEDUP, INTERVAL = "s per batch, decode in", "speed-up, decode in (×)", "[95 %]"


def timed_beside_another(outline: Outline) -> str | None:
    if any(arm.over not in (None, arm.name) for arm in outline.arms.values()):
        return None
    return "timed arms beside a timed baseline; set study.timing.repeats and study.baseline."


def ceiling_of(record: Record, name: str) -> float | None:
    """With the decoder, as the arm is timed."""
    baseline = record.timing.arms[name].baseline
    return None if baseline is None else with_decoder(record.arms[name], record.arms[baseline])


@table(name="timing", place=40)
def timing_table(record: Record) -> Table:
    """Seconds per batch, and the ratio of medians over the baseline at the same point beside what arithmetic would allow."""
    arms = record.timing.arms
    whole = all(timed.peak_bytes is None for timed in arms.values())
    held = "memory alone, weights in (MiB)" if whole else "peak beside all on the GPU (MiB)"
    times = (f"{SECONDS} [p10, p90]", f"{SPEEDUP} {INTERVAL}")
    columns = ("arm", "baseline", "rounds", *times, DECODE_IN, DECODE_OUT, held)
    rows: list[tuple[Cell, ...]] = []
    for name, timed in arms.items():
        arm, memory = record.arms[name], timed.memory_bytes if whole else timed.peak_bytes
        shown, found = series.weighted(series.marked(name, arm), arm), (spanned(timed.seconds), faster(timed.speedup))
        ceilings = ceiling_of(record, name), arm.mac_ceiling
        rows.append((shown, timed.baseline, timed.seconds.n, *found, *ceilings, memory and memory / 2**20))
    return Table(columns, rows)


@figure(needs=timed_beside_another, unasked=lambda outline: True)
def timing(record: Record) -> "Figure":
    """Measured speed-up of every arm over another one, with its interval, and its ceiling."""
    timed = record.timing.arms.items()
    shown = {name: found.speedup for name, found in timed if found.speedup and found.baseline != name}
    named = series.labels({name: record.arms[name] for name in shown})
    wide = max(map(len, named.values())) > 16
    figure = style.blank(style.PAGE if wide else style.COLUMN, 1.55 + 0.22 * len(shown))
    axes = figure.subplots()
    for row, (name, speed) in enumerate(shown.items()):
        draw_speedup(axes, row, speed)
        ceiling, bare = ceiling_of(record, name), record.arms[name].mac_ceiling
        if known := ceiling or bare:
            label = DECODE_IN if ceiling else DECODE_OUT
            axes.plot(known, row, "D", color=style.VERMILLION, fillstyle="none", markersize=4.5, label=label)
    axes.axvline(1, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_yticks(range(len(shown)), list(named.values()))
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(left=0, right=1.06 * axes.dataLim.x1)
    axes.set_xlabel(f"{SPEEDUP} over {record.study.baseline}\n{rounds_of(speed.n for speed in shown.values())}")
    style.legend(figure, style.handles([axes]), columns=2 if wide else 1, handletextpad=0.4)
    style.question(figure, record, "How much of the MAC ceiling is reached?")
    return figure


def draw_speedup(axes: "Axes", row: int, speed: Speedup) -> None:
    """A mark at the ratio of medians and a bar for its interval; where it has none the legend says why."""
    said = f"measured, ratio of medians {INTERVAL}"
    if speed.low is not None and speed.high is not None:
        axes.plot([speed.low, speed.high], [row, row], color=style.SKY, linewidth=5, solid_capstyle="butt")
    else:
        said = f"measured, ratio of medians (no interval: {speed.note})" if speed.note else "_the baseline"
    axes.plot(speed.estimate, row, "|", color=style.BLUE, markersize=9, mew=1.6, label=said)


def rounds_of(counts: Iterable[int]) -> str:
    """`5 rounds`, `3 to 10 rounds`."""
    least, most = (found := sorted(counts))[0], found[-1]
    return f"{least} rounds" if least == most else f"{least} to {most} rounds"
