"""What a benchmark's record says: a row per case and arm, and bars beside the least time that the work can take."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from sdaccel.measure.speedup import Speedup
from sdaccel.records.outline import Outline
from sdaccel.records.timing import Benched, Case
from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Table, faster, spanned
from sdaccel.reporting.registry import figure, table
from sdaccel.reporting.timing import INTERVAL, rounds_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CALLS = {
    "scale_out": "ms per image",
    **dict.fromkeys(("var_engine", "hart_engine", "speculation", "stage_cache"), "ms per batch, decode in"),
}
"""By benchmark; arms that are not decoded say so, and calls of kernels have no decoder."""
BLOCKS = "blocks"
"""The phase that is told by scale."""
FLOOR = "the arm's floor: bytes or arithmetic"


def benched(outline: Outline) -> str | None:
    return None if outline.bench else "a benchmark, which sdaccel bench runs."


def unit(record: Record) -> str:
    """What a call is, and whether the decoder is in its time."""
    return CALLS.get(record.bench.name if record.bench else "", "ms per call")


@table(name="bench", place=50, needs=benched)
def bench(record: Record) -> Table:
    """Milliseconds of a call, ratio of medians over the case's first arm, and the least that the arm's own work could take."""
    measured = ("rounds", f"{unit(record)} [p10, p90]", f"speed-up (×) {INTERVAL}", "floor (ms)", "of floor")
    columns = ("case", "arm", *measured, "memory (MiB)", "J per image", "recompiled")
    rows: list[tuple[Cell, ...]] = []
    for case, found in record.timing.cases.items():
        for name, arm in found.arms.items():
            times, ratio = spanned(arm.seconds, times=1e3), faster(arm.speedup)
            floor = arm.floor_seconds and 1e3 * arm.floor_seconds
            memory, joules = arm.memory_bytes and arm.memory_bytes / 2**20, arm.joules and arm.joules / arm.images
            shown = style.titled(record, name)
            rows.append((case, shown, arm.seconds.n, times, ratio, floor, arm.of_floor, memory, joules, arm.recompiled))
    return Table(columns, rows)


@table(name="scale_out", place=52, needs=benched)
def scale_out(record: Record) -> Table:
    """Images per second once every process is warm, over so many times the first arm's; then seconds of the whole command, as
    means over its processes."""
    arms = {
        (case, name): arm for case, found in record.timing.cases.items() for name, arm in found.arms.items() if arm.processes
    }
    phases = dict.fromkeys(phase for arm in arms.values() for phase in arm.phases)
    columns = ("case", "processes", "images", "identical", "images / s", "efficiency", *(f"{phase} (s)" for phase in phases))
    rows: list[tuple[Cell, ...]] = []
    for (case, _), arm in arms.items():
        first = next(iter(record.timing.cases[case].arms.values())).processes or 1
        count = arm.processes or 1
        efficiency = arm.speedup.estimate * first / count
        told = (case, count, arm.images, arm.identical, 1 / arm.seconds.p50, efficiency)
        rows.append((*told, *(arm.phases.get(phase) for phase in phases)))
    return Table(columns, rows)


@table(name="split", place=55, needs=benched)
def split(record: Record) -> Table:
    """Milliseconds by phase, the blocks by scale, of a pass that waits at every boundary; then the GPU's own time and launches
    of a profiled one."""
    arms = {(case, arm): a for case, found in record.timing.cases.items() for arm, a in found.arms.items() if a.scales}
    columns = ("part", *(f"{case}: {style.titled(record, arm)}" for case, arm in arms))
    parts = [_parts(arm) for arm in arms.values()]
    names = dict.fromkeys(name for part in parts for name in part)
    return Table(columns, [(name, *(part.get(name) for part in parts)) for name in names])


def _parts(arm: Benched) -> dict[str, Cell]:
    out: dict[str, Cell] = {}
    for phase, seconds in arm.phases.items():
        out[phase] = 1e3 * seconds
        if phase == BLOCKS:
            out |= {f"{phase} of scale {k}, {s.side} x {s.side}": 1e3 * s.phases[phase] for k, s in enumerate(arm.scales)}
    if arm.busy_seconds is not None:
        out |= {"GPU busy": 1e3 * arm.busy_seconds, "launches": arm.launches}
    return out


@table(name="kernels", place=60, needs=benched)
def kernels(record: Record) -> Table:
    """Where an arm's time goes, busiest first; of records that profiled."""
    columns = ("case", "arm", "kernel", "ms of one profiled call", "runs", "share")
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
    """A panel per case: a bar per arm, its phases stacked where they were measured, and a mark at its own floor."""
    found = record.timing.cases
    phases = dict.fromkeys(phase for case in found.values() for arm in case.arms.values() for phase in arm.phases)
    colours = dict(zip(phases, (*style.CYCLE, style.GREY) * len(phases), strict=False))
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    bars = max(len(case.arms) for case in found.values())
    across = 4 if columns > 1 else 2
    further = max(0, -(-(len(phases) + 2) // across) - 2)  # rows of the legend
    figure = style.blank(style.PAGE if columns > 1 else style.COLUMN, 1.0 + 0.25 * further + rows * (0.6 + 0.2 * bars))
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (case, measured) in zip(panels, found.items(), strict=False):
        _panel(axes, case, measured, colours)
        axes.set_xlabel(unit(record))
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    said = [ratios(found), "split as in a pass without graphs that waits at every boundary" if phases else ""]
    title = textwrap.fill("; ".join(filter(None, said)), int(16 * figure.get_figwidth()))
    handles = style.handles(panels)
    style.legend(figure, handles, columns=across, title=title, alignment="left", handlelength=1.4)
    style.question(figure, record, record.study.question)
    return figure


def ratios(cases: Mapping[str, Case]) -> str:
    """How the ratios of these cases read."""
    arms = [arm for case in cases.values() for arm in case.arms.values()]
    notes = dict.fromkeys(arm.speedup.note for arm in arms if arm.speedup.note)
    ends = "".join(f"no interval: {note}" for note in notes) or "95 % interval in brackets"
    return f"medians of {rounds_of(arm.seconds.n for arm in arms)}; ×: their ratio to the first arm ({ends})"


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
        ratio = f", {arm.speedup.estimate:.2f}× {_interval(arm.speedup)}".rstrip() if row else ""
        axes.annotate(f" {p50:.3g} ms{ratio}", (max(p50, p90), row), va="center_baseline", fontsize=6)
        if arm.floor_seconds:
            least = 1e3 * arm.floor_seconds
            axes.plot([least, least], [row - 0.42, row + 0.42], color=style.VERMILLION, linewidth=1.4, label=FLOOR)
    axes.set_yticks(range(len(arms)), list(arms))
    axes.set_ylim(len(arms) - 0.4, -0.6)
    room = 2.6 if any(_interval(arm.speedup) for arm in arms.values()) else 1.75
    axes.set_xlim(0, room * max(1e3 * arm.seconds.p90 for arm in arms.values()))
    axes.set_title(case)


def _interval(found: Speedup) -> str:
    return "" if found.low is None or found.high is None else f"[{found.low:.2f}, {found.high:.2f}]"
