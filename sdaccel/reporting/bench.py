"""What a benchmark's record says: a row per case and arm, and bars beside the least time that the work can take."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sdaccel.records.outline import Outline
from sdaccel.records.timing import Case
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Range, Table, spanned
from sdaccel.reporting.registry import figure, table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def benched(outline: Outline) -> str | None:
    return None if outline.bench else "a benchmark, which sdaccel bench runs."


@table(name="bench", place=50, needs=benched)
def bench(record: Record) -> Table:
    """Milliseconds of a call and paired speed-up over the case's first arm, medians with 10th and 90th percentile."""
    columns = ("case", "arm", "ms", "speed-up (×)", "of floor", "memory (MiB)", "J per image", "recompiled")
    rows: list[tuple[Cell, ...]] = []
    for case, found in record.timing.cases.items():
        for name, arm in found.arms.items():
            held, joules = arm.memory_bytes, None if arm.joules is None else arm.joules / arm.images
            times, ratio = spanned(arm.seconds, times=1e3), spanned(arm.speedup)
            memory = held and held / 2**20
            rows.append((case, style.titled(record, name), times, ratio, arm.of_floor, memory, joules, arm.recompiled))
        rows.append((case, "floor", Range(1e3 * found.floor_seconds), None, 1.0, None, None, None))
    return Table(columns, rows)


@table(name="kernels", place=60, needs=benched)
def kernels(record: Record) -> Table:
    """Where an arm's time goes, busiest first; of records that profiled."""
    columns = ("case", "arm", "kernel", "ms", "runs", "share")
    rows: list[tuple[Cell, ...]] = [
        (case, style.titled(record, name), k.name, 1e3 * k.seconds, k.runs, k.share)
        for case, found in record.timing.cases.items()
        for name, arm in found.arms.items()
        for k in arm.kernels
    ]
    return Table(columns, rows)


@table(name="agreement", place=70, needs=benched)
def agreement(record: Record) -> Table:
    """What engines that are beside a reference drew otherwise on the same canvas."""
    columns = ("arm", "relative L2 of the logits", "tokens", "different", "not explained by rounding")
    rows: list[tuple[Cell, ...]] = [
        (style.titled(record, name), a.relative_l2, a.tokens, a.different, a.unexplained)
        for name, a in record.timing.agreement.items()
    ]
    return Table(columns, rows)


@figure(needs=benched)
def bench_times(record: Record) -> "Figure":
    """A panel per case: a bar per arm, its phases stacked where they were measured, and the floor as a line."""
    found = record.timing.cases
    phases = dict.fromkeys(phase for case in found.values() for arm in case.arms.values() for phase in arm.phases)
    colours = dict(zip(phases, (*style.CYCLE, style.GREY) * len(phases), strict=False))
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    bars = max(len(case.arms) for case in found.values())
    figure = style.blank(style.PAGE if columns > 1 else style.COLUMN, 1.0 + rows * (0.6 + 0.2 * bars))
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (case, measured) in zip(panels, found.items(), strict=False):
        _panel(axes, case, measured, colours)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    split = "split as in a pass without graphs that waits at every boundary" if phases else None
    style.legend(figure, style.handles(panels), columns=4, title=split, alignment="left", handlelength=1.4)
    style.question(figure, record, record.study.question)
    return figure


def _panel(axes: "Axes", case: str, measured: Case, colours: Mapping[str, str]) -> None:
    """Phases are drawn as their shares of the median."""
    arms = measured.arms
    for row, arm in enumerate(arms.values()):
        p10, p50, p90 = (1e3 * s for s in (arm.seconds.p10, arm.seconds.p50, arm.seconds.p90))
        shares, left = arm.phases or {"": 1.0}, 0.0
        for phase, seconds in shares.items():
            width = p50 * seconds / sum(shares.values())
            axes.barh(row, width, left=left, height=0.62, color=colours.get(phase, style.SKY), label=phase or "_")
            left += width
        axes.plot([p10, p90], [row, row], color="black", linewidth=0.8, label="10th to 90th percentile")
        said = f" {p50:.3g} ms, {arm.speedup.p50:.2f}×"
        axes.annotate(said, (max(p50, p90), row), va="center_baseline", fontsize=6)
    floor = 1e3 * measured.floor_seconds
    axes.axvline(floor, color=style.VERMILLION, linewidth=1, linestyle=(0, (3, 1.5)), label="floor: bytes or arithmetic")
    axes.set_yticks(range(len(arms)), list(arms))
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.set_xlim(0, 1.75 * max(1e3 * arm.seconds.p90 for arm in arms.values()))
    axes.set_title(case)
    axes.set_xlabel("ms per call")
