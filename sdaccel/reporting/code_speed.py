"""CoDe's speed beside the published ratios (arXiv 2411.17787): what was reached, what arithmetic allows, what differs."""

from typing import TYPE_CHECKING, Any

from sdaccel.records.view import Arm, Record
from sdaccel.reporting import style
from sdaccel.reporting.ceilings import DECODE_IN, DECODE_OUT
from sdaccel.reporting.cells import Cell, Table, faster
from sdaccel.reporting.registry import figure, table, with_figure
from sdaccel.reporting.series import labels, weighted
from sdaccel.reporting.timing import (
    INTERVAL,
    SPEEDUP,
    ceiling_of,
    draw_speedup,
    rounds_of,
    timed_beside_another,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PUBLISHED = {
    64: {"d24": 1.7, "d20": 2.8, "N=9": 1.2, "N=8": 1.7, "N=7": 2.3, "N=6": 2.9},
    1: {"N=6": 1.6},
}
"""Batch size -> arm -> times as fast as d30: one L20, float16 autocast without FlashAttention, the decoder not timed."""
MEASURED, PUBLISHED_AS = f"{SPEEDUP} {INTERVAL}", "published, decode out (×)"
COLUMNS = ("arm", "batch", "rounds", MEASURED, PUBLISHED_AS, "of published", DECODE_IN, DECODE_OUT, "decoder's share")


def kind_of(arm: Arm) -> str:
    """The published name of an arm: N scales by the large model, or a single model's depth."""
    if "draft_scales" in arm.strategy.options:
        return f"N={arm.strategy.options['draft_scales']}"
    return f"d{arm.generated.depth}" if arm.strategy.name == "original" else ""


def decoder_share(arm: Arm) -> float:
    """Of an arm's arithmetic, in the timer here and not in the published one."""
    decoder = arm.generated.decode_macs or 0.0
    return decoder / (decoder + arm.macs)


def compared(record: Record) -> dict[str, str]:
    """Arm -> its name for readers, of timed arms beside a baseline."""
    return labels({name: record.arms[name] for name, found in record.timing.arms.items() if found.speedup})


@table(name="code_speed", place=110, needs=with_figure("code_speed"))
def code_speed_table(record: Record) -> Table:
    """A row per timed arm: its speed-up beside the published one and beside what arithmetic allows."""
    names, batch = compared(record), record.timing.batch_size
    published = PUBLISHED.get(batch, {})
    rows: list[tuple[Cell, ...]] = []
    for name, shown in names.items():
        arm, found = record.arms[name], record.timing.arms[name]
        assert found.speedup and found.baseline
        said, speed = published.get(kind_of(arm)), found.speedup
        ceilings = ceiling_of(record, name), arm.mac_ceiling
        of = said and speed.estimate / said
        rows.append((weighted(shown, arm), batch, speed.n, faster(speed), said, of, *ceilings, decoder_share(arm)))
    return Table(COLUMNS, rows, missing="not published")


@figure(needs=timed_beside_another)
def code_speed(record: Record) -> "Figure":
    """The measured ratio of medians with its interval, the published one, and what arithmetic allows."""
    rows: list[dict[str, Any]] = [dict(zip(COLUMNS, row, strict=True)) for row in code_speed_table(record).rows]
    speeds = [found.speedup for found in record.timing.arms.values() if found.speedup]
    figure = style.blank(style.COLUMN, 1.6 + 0.2 * len(rows))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        draw_speedup(axes, place, speeds[place])
        if row[DECODE_IN] is not None:
            axes.plot(row[DECODE_IN], place, "D", color=style.VERMILLION, fillstyle="none", markersize=4, label=DECODE_IN)
        if row[PUBLISHED_AS] is not None:
            axes.plot(row[PUBLISHED_AS], place, "s", color="black", markersize=4, label="published, decode out")
    axes.axvline(1, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_yticks(range(len(rows)), list(compared(record).values()))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0)
    counted = rounds_of(speed.n for speed in speeds)
    axes.set_xlabel(f"{SPEEDUP} over {record.study.baseline}\nB = {rows[0]['batch']}, {counted}")
    style.legend(figure, style.handles([axes]), columns=1)
    style.question(figure, record, "Does CoDe reach the published ratios?")
    return figure
