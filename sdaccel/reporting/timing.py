"""Measured times of the arms of a study, beside the speed-up that their skipped multiply-accumulates would allow."""

from typing import TYPE_CHECKING

from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import series, style
from sdaccel.reporting.cells import Cell, Table
from sdaccel.reporting.registry import figure, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def timed_beside_another(outline: Outline) -> str | None:
    if any(arm.over not in (None, arm.name) for arm in outline.arms.values()):
        return None
    return "timed arms beside a timed baseline; set study.timing.repeats and study.baseline."


@table(name="timing", place=40)
def timing_table(record: Record) -> Table:
    """Seconds per batch and speed-up over the baseline at the same point, beside the analytic ceiling."""
    quantiles = ("p10", "p50", "p90")
    columns = ("arm", "baseline", *(f"{q} (s)" for q in quantiles), *(f"{q} (×)" for q in quantiles), "MAC ceiling")
    columns += ("peak memory (bytes)", "rounds")
    rows: list[tuple[Cell, ...]] = []
    for name, timed in record.timing.arms.items():
        arm, s, speed = record.arms[name], timed.seconds, timed.speedup
        speeds = (speed.p10, speed.p50, speed.p90) if speed else (None,) * 3
        shown = series.weighted(series.marked(name, arm), arm)
        rows.append((shown, timed.baseline, s.p10, s.p50, s.p90, *speeds, arm.mac_ceiling, timed.peak_bytes, s.n))
    return Table(columns, rows)


@figure(needs=timed_beside_another, unasked=lambda outline: True)
def timing(record: Record) -> "Figure":
    """Measured speed-up of every arm over another one, median and 10th to 90th percentile."""
    timed = record.timing.arms.items()
    shown = {name: found.speedup for name, found in timed if found.speedup and found.baseline != name}
    named = series.labels({name: record.arms[name] for name in shown})
    wide = max(map(len, named.values())) > 16
    figure = style.blank(style.PAGE if wide else style.COLUMN, 1.35 + 0.22 * len(shown))
    axes = figure.subplots()
    for row, (name, speed) in enumerate(shown.items()):
        ceiling = record.arms[name].mac_ceiling
        axes.plot([speed.p10, speed.p90], [row, row], color=style.SKY, linewidth=5, solid_capstyle="butt")
        axes.plot(speed.p50, row, "|", color=style.BLUE, markersize=9, mew=1.6, label="measured p50 [p10, p90]")
        if ceiling is not None:
            axes.plot(ceiling, row, "D", color=style.VERMILLION, fillstyle="none", markersize=4.5, label="MAC ceiling")
    axes.axvline(1, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_yticks(range(len(shown)), list(named.values()))
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(left=0, right=1.06 * axes.dataLim.x1)
    axes.set_xlabel(f"speed-up over {record.study.baseline} (×)")
    style.legend(figure, style.handles([axes]), columns=2, handletextpad=0.4)
    style.question(figure, record, "How much of the MAC ceiling is reached?")
    return figure
