"""Figures by name: each draws one record and nothing but the record. matplotlib loads inside, so names are cheap to check."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdaccel.errors import BadInput
from sdaccel.records.timing import Quantiles
from sdaccel.records.view import Arm, Check, Record, Series
from sdaccel.reporting import series, style
from sdaccel.reporting.acceptance import acceptance_profile
from sdaccel.reporting.axis import LogWithZero
from sdaccel.reporting.bench import bench_times
from sdaccel.reporting.code_speed import code_speed
from sdaccel.reporting.difference_laws import difference_laws, feature_sizes
from sdaccel.reporting.entry_sweep import entry_sweep
from sdaccel.reporting.forecast_errors import damping, forecast_gain
from sdaccel.reporting.gamma_sweep import gamma_sweep
from sdaccel.reporting.pareto import pareto
from sdaccel.reporting.quality_cost import available, quality_cost
from sdaccel.reporting.sample_sheet import Find, kept, sample_sheet
from sdaccel.reporting.sdvar_figure import sdvar_claims
from sdaccel.reporting.speculation_bound import speculation_bound
from sdaccel.reporting.stack_sizes import stack_sizes
from sdaccel.reporting.sweep import sweep
from sdaccel.reporting.token_equality import token_equality

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURED = {
    "equal": "largest |difference|",
    "anchors_written": "largest |anchor − feature|",
    "forecast_published": "relative L2 distance",
}
"""What the values of a check are; its name stands above the panel."""


def step_differences(record: Record) -> "Figure":
    """Every check that a control must fail, step by step: honest arms, and the bugs planted to be caught there."""
    from matplotlib.figure import Figure

    aimed = {arm.control.fails for arm in record.arms.values() if arm.control}
    checks = dict.fromkeys(v.check for v in record.checks if len(v.series or ()) > 1)
    drawn = sorted((check for check in checks if check == "equal" or check in aimed), key=lambda check: check != "equal")
    if "equal" not in drawn:
        raise BadInput("figure step_differences needs the check `equal` on kept arrays, such as study.keep=[latents].")
    width = style.COLUMN if len(drawn) == 1 else style.PAGE
    figure = Figure(figsize=(width, 3.0))
    panels = figure.subplots(1, len(drawn), width_ratios=[1.5] + [1] * (len(drawn) - 1), squeeze=False)[0]
    for axes, check in zip(panels, drawn, strict=True):
        _check_panel(axes, record, check)
    style.legends_below(figure, panels)
    notice = ", and would the checks notice?" if aimed else "?"
    style.question(figure, record, f"Does any step differ from {record.study.baseline}{notice}")
    return figure


def _check_panel(axes: "Axes", record: Record, check: str) -> None:
    verdicts = [v for v in record.checks if v.check == check]
    passing, failing = ([_series(v) for v in verdicts if not v.control and v.passed is held] for held in (True, False))
    controls = {name: arm.control for name, arm in record.arms.items() if arm.control}
    aimed = {v.arm: _series(v) for v in verdicts if v.control and controls[v.arm].fails == check}
    lines = [
        (series.worst(passing), style.BLUE, _honest(passing)),
        (series.worst(failing), style.ORANGE, _honest(failing, "failing ")),
    ]
    scale = LogWithZero(axes, [*(line for line, _, _ in lines), *aimed.values()], bound=verdicts[0].bound)
    for line, colour, label in lines:
        if line:
            scale.plot(line, colour, label, marker=4)
    for colour, (name, line) in zip((style.VERMILLION, style.PURPLE, style.GREEN) * len(aimed), aimed.items(), strict=False):
        scale.plot(line, colour, f"planted: {record.arms[name].template}")
    arrays = ", ".join(record.study.keep) if check == "equal" else ""
    if check == "equal" and (unseen := sum(v.control and v.passed is True for v in verdicts)):
        axes.plot([], [], linestyle="none", label=f"{unseen} other planted bugs: also always 0")
    scale.draw_bound()
    axes.set_ylabel(MEASURED.get(check, "measured") + (f" of {arrays}" if arrays else ""))
    steps = sum(record.arms[verdicts[0].arm].kinds.values())
    axes.set_xlabel("steps done" if len(_series(verdicts[0])) == steps + 1 else "step")
    axes.set_title(check)


def _series(check: Check) -> Series:
    return check.series or []


def _honest(lines: list[Series], fail: str = "") -> str:
    """How many arms a line stands for, and that it is their worst unless all are 0."""
    many = f"{len(lines)} {fail}honest arm{'s' if len(lines) > 1 else ''}"
    return f"{many}: worst per step" if any(v != 0 for line in lines for v in line) else f"{many}: always 0"


def would_be_forecasts(record: Record) -> "Figure":
    """Error of the forecast that a strategy would have made at a step, beside that of reusing the last full step."""
    from matplotlib.figure import Figure

    arms = {name: arm for name, arm in record.arms.items() if not arm.control and "forecast_error" in arm.per_step}
    if not arms:
        raise BadInput("figure would_be_forecasts needs audited arms; set audit: true on arms with a forecasting strategy.")
    dtypes = list(dict.fromkeys(arm.generator.options["dtype"] for arm in arms.values()))
    count = len(record.conditions)
    figure = Figure(figsize=(style.PAGE, 3.0))
    panels = figure.subplots(1, len(dtypes), sharey=True, squeeze=False)[0]
    for axes, dtype in zip(panels, dtypes, strict=True):
        _forecast_panel(axes, {name: arm for name, arm in arms.items() if arm.generator.options["dtype"] == dtype})
        axes.set_title(f"{dtype}, worst of {count} sample{'s' if count > 1 else ''}")
        axes.set_xlabel("step")
    panels[0].set_ylabel("relative L2 error of the features")
    _legend_by_strategy(figure, panels)
    style.question(figure, record, "Would a forecast have been closer to the step's features than mere reuse?")
    return figure


def _forecast_panel(axes: "Axes", arms: dict[str, Arm]) -> None:
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    axes.yaxis.set_minor_locator(NullLocator())
    reuse = series.coinciding({name: arm.per_step["reuse_error"] for name, arm in arms.items()})
    for i, (names, line) in enumerate(reuse):
        templates = ", ".join(dict.fromkeys(arms[name].template for name in names))
        label = "reuse" if len(reuse) == 1 else f"reuse: {templates}"
        _branch(axes, line, reuse[0][1] if i else None, i, color=style.GREY, label=label)
    for colour, strategy in zip(style.CYCLE, dict.fromkeys(arm.strategy.name for arm in arms.values()), strict=False):
        own = {name: arm for name, arm in arms.items() if arm.strategy.name == strategy}
        named = series.labels(own)
        lines = series.coinciding({name: arm.per_step["forecast_error"] for name, arm in own.items()})
        for i, (names, line) in enumerate(lines):
            label = f"{strategy}: {', '.join(named[name] for name in names)}"
            _branch(axes, line, lines[0][1] if i else None, i, color=colour, label=label)


def _branch(axes: "Axes", line: Series, drawn: Series | None, index: int, *, color: str, label: str) -> None:
    """A line, or where it leaves the one of its group that is drawn in full."""
    shown = line if drawn is None else series.where_other(line, drawn)
    points = [(step, v) for step, v in enumerate(shown) if v is not None]
    dashes = ("-", (0, (3, 1)), (0, (1, 1)), (0, (5, 1, 1, 1)))[index % 4]
    axes.plot([s for s, _ in points], [v for _, v in points], linestyle=dashes, color=color, label=label)


def _legend_by_strategy(figure: "Figure", panels: Any) -> None:
    """One legend for all panels, one column per strategy."""
    from matplotlib.lines import Line2D

    handles = {label: h for axes in panels for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    columns: dict[str, list[str]] = {}
    for label in sorted(handles, key=lambda text: text.startswith("reuse")):
        columns.setdefault(label.partition(":")[0], []).append(label)
    rows = max(map(len, columns.values()))
    cells = [label for column in columns.values() for label in column + [""] * (rows - len(column))]
    blank = Line2D([], [], linestyle="none")
    title = "a broken line is drawn only where its arms leave the solid one" if rows > 1 else None
    shown = [handles.get(cell, blank) for cell in cells]
    figure.legend(shown, cells, loc="outside lower left", title=title, alignment="left", ncols=len(columns), handlelength=2.4)


def compared(record: Record) -> dict[str, Quantiles]:
    """Arm -> its speed-up over another one."""
    timed = record.timing.arms.items()
    return {name: found.speedup for name, found in timed if found.speedup and found.baseline != name}


def timing(record: Record) -> "Figure":
    """Measured speed-up, median and 10th to 90th percentile, beside the ceiling that skipped multiply-accumulates allow."""
    from matplotlib.figure import Figure

    shown = compared(record)
    if not shown:
        raise BadInput("figure timing needs timed arms beside a timed baseline; set study.timing.repeats and study.baseline.")
    named = series.labels({name: record.arms[name] for name in shown})
    wide = max(map(len, named.values())) > 16
    figure = Figure(figsize=(style.PAGE if wide else style.COLUMN, 1.35 + 0.22 * len(shown)))
    axes = figure.subplots()
    for row, (name, speed) in enumerate(shown.items()):
        ceiling = record.arms[name].mac_ceiling
        axes.plot([speed.p10, speed.p90], [row, row], color=style.SKY, linewidth=5, solid_capstyle="butt")
        axes.plot(speed.p50, row, "|", color=style.BLUE, markersize=9, mew=1.6, label=_once("measured p50 [p10, p90]", row))
        if ceiling is not None:
            axes.plot(
                ceiling, row, "D", color=style.VERMILLION, fillstyle="none", markersize=4.5, label=_once("MAC ceiling", row)
            )
    axes.axvline(1, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_yticks(range(len(shown)), list(named.values()))
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(left=0, right=1.06 * axes.dataLim.x1)
    axes.set_xlabel(f"speed-up over {record.study.baseline} (×)")
    figure.legend(loc="outside lower left", ncols=2, handletextpad=0.4)
    style.question(figure, record, "How much of the MAC ceiling is reached?")
    return figure


def _once(label: str, row: int) -> str:
    return label if row == 0 else f"_{label}"


FIGURES: dict[str, Callable[[Record], "Figure"]] = {
    f.__name__: f
    for f in (
        *(step_differences, would_be_forecasts, timing, bench_times, quality_cost, pareto),
        *(forecast_gain, damping, difference_laws, feature_sizes, sweep, stack_sizes),
        *(entry_sweep, sdvar_claims, code_speed, acceptance_profile, speculation_bound, gamma_sweep, token_equality),
    )
}
PICTURED: dict[str, Callable[[Record, Find], "Figure"]] = {"sample_sheet": sample_sheet}
"""Figures that also need the pictures."""


def validate(names: Sequence[str], *, keep: Sequence[str]) -> None:
    """Refuse a figure that does not exist, or lacks what the study would have to keep: before a run, not after it."""
    for name in names:
        if name not in FIGURES and name not in PICTURED:
            raise BadInput(f"study.figures: {name} is unknown; choose from {', '.join([*FIGURES, *PICTURED])}.")
    if "step_differences" in names and not keep:
        raise BadInput("study.figures: step_differences draws arrays of every step; set study.keep=[latents].")


def names_of(record: Record) -> list[str]:
    """The figures that the study asks for, and those of time, quality and pictures wherever there is something to show."""
    asked = list(dict.fromkeys(record.study.figures))
    also = {
        "quality_cost": available(record) and "pareto" not in asked,
        "sample_sheet": bool(record.measured),
        "timing": bool(compared(record)),
    }
    return asked + [name for name, has in also.items() if has and name not in asked]


def draw(record: Record, folder: Path, *, find: Find | None = None) -> list[Path]:
    """All figures of a record, each as PDF and PNG; without the pictures those that nobody asked for are left out."""
    names, asked = names_of(record), record.study.figures
    validate(names, keep=record.study.keep)
    paths = []
    with style.styled():
        for name in names:
            if name in FIGURES:
                paths += style.save(FIGURES[name](record), folder, name)
            elif find is not None and (name in asked or kept(record, find)):
                paths += style.save(PICTURED[name](record, find), folder, name)
    return paths
