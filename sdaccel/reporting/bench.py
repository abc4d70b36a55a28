"""What a benchmark's record says: a row per case and arm, and bars beside the least time that the work can take."""

from typing import TYPE_CHECKING, Any

from sdaccel.errors import BadInput
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Range, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = dict[str, Any]


def cases(record: Record) -> dict[str, Any]:
    """Case -> its floor and arms; nothing in records of studies."""
    return dict((record["timing"] or {}).get("cases", {}))


def bench(record: Record) -> Table:
    """Milliseconds of a call and paired speed-up over the case's first arm, medians with 10th and 90th percentile."""
    columns = ("case", "arm", "ms", "speed-up (×)", "of floor", "memory (MiB)", "J per image", "recompiled")
    rows: list[tuple[Cell, ...]] = []
    for case, found in cases(record).items():
        for name, arm in found["arms"].items():
            s, speed, held = arm["seconds"], arm["speedup"], arm["memory_bytes"]
            times = Range(1e3 * s["p50"], 1e3 * s["p10"], 1e3 * s["p90"])
            ratio = Range(speed["p50"], speed["p10"], speed["p90"])
            joules = None if arm["joules"] is None else arm["joules"] / arm.get("images", 1)
            rows.append((case, name, times, ratio, arm["of_floor"], held and held / 2**20, joules, arm["recompiled"]))
        rows.append((case, "floor", Range(1e3 * found["floor_seconds"]), None, 1.0, None, None, None))
    return Table("bench", columns, rows)


def kernels(record: Record) -> Table:
    """Where an arm's time goes, busiest first; of records that profiled."""
    columns = ("case", "arm", "kernel", "ms", "runs", "share")
    rows: list[tuple[Cell, ...]] = [
        (case, name, k["name"], 1e3 * k["seconds"], k["runs"], k["share"])
        for case, found in cases(record).items()
        for name, arm in found["arms"].items()
        for k in arm.get("kernels", [])
    ]
    return Table("kernels", columns, rows)


def agreement(record: Record) -> Table:
    """What engines that are beside a reference drew otherwise on the same canvas."""
    found = (record["timing"] or {}).get("agreement", {})
    columns = ("arm", "relative L2 of the logits", "tokens", "different", "not explained by rounding")
    rows: list[tuple[Cell, ...]] = [
        (name, a["relative_l2"], a["tokens"], a["different"], a["unexplained"]) for name, a in found.items()
    ]
    return Table("agreement", columns, rows)


def bench_times(record: Record) -> "Figure":
    """A panel per case: a bar per arm, its phases stacked where they were measured, and the floor as a line."""
    from matplotlib.figure import Figure

    found = cases(record)
    if not found:
        raise BadInput("figure bench_times draws records of experiments/bench.py.")
    phases = dict.fromkeys(phase for case in found.values() for arm in case["arms"].values() for phase in arm.get("phases", {}))
    colours = dict(zip(phases, (*style.CYCLE, style.GREY) * len(phases), strict=False))
    columns = min(3, len(found))
    rows = -(-len(found) // columns)
    bars = max(len(case["arms"]) for case in found.values())
    figure = Figure(figsize=(style.PAGE if columns > 1 else style.COLUMN, 1.0 + rows * (0.6 + 0.2 * bars)))
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for axes, (case, measured) in zip(panels, found.items(), strict=False):
        _panel(axes, case, measured, colours)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    handles = {label: h for axes in panels for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    split = "split as in a pass without graphs that waits at every boundary" if phases else None
    figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower left",
        ncols=4,
        title=split,
        alignment="left",
        handlelength=1.4,
    )
    style.question(figure, record["content"]["config"]["study"]["question"])
    return figure


def _panel(axes: "Axes", case: str, measured: dict[str, Any], colours: dict[str, str]) -> None:
    """Phases are drawn as their shares of the median."""
    arms = measured["arms"]
    for row, arm in enumerate(arms.values()):
        s, left = {key: 1e3 * arm["seconds"][key] for key in ("p10", "p50", "p90")}, 0.0
        shares = arm.get("phases") or {"": 1.0}
        for phase, seconds in shares.items():
            width = s["p50"] * seconds / sum(shares.values())
            axes.barh(row, width, left=left, height=0.62, color=colours.get(phase, style.SKY), label=phase or "_")
            left += width
        axes.plot([s["p10"], s["p90"]], [row, row], color="black", linewidth=0.8, label="10th to 90th percentile")
        axes.annotate(
            f" {s['p50']:.3g} ms, {arm['speedup']['p50']:.2f}×",
            (max(s["p50"], s["p90"]), row),
            va="center_baseline",
            fontsize=6,
        )
    floor = 1e3 * measured["floor_seconds"]
    axes.axvline(floor, color=style.VERMILLION, linewidth=1, linestyle=(0, (3, 1.5)), label="floor: bytes or arithmetic")
    axes.set_yticks(range(len(arms)), list(arms))
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.set_xlim(0, 1.75 * max(1e3 * arm["seconds"]["p90"] for arm in arms.values()))
    axes.set_title(case)
    axes.set_xlabel("ms per call")
