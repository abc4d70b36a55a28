"""What checks and audits found at every step: differences from the baseline, and errors of forecasts."""

from typing import TYPE_CHECKING, Any

from sdaccel.errors import BadInput
from sdaccel.records.outline import Outline
from sdaccel.records.view import Arm, Check, Record, Series
from sdaccel.reporting import series, style
from sdaccel.reporting.axis import LogWithZero
from sdaccel.reporting.registry import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEASURED = {
    "equal": "largest |difference|",
    "anchors_written": "largest |anchor − feature|",
    "forecast_published": "relative L2 distance",
}
"""What the values of a check are; its name stands above the panel."""


def equal_on_arrays(outline: Outline) -> str | None:
    arrays = [name for arm in outline.checks.get("equal", ()) for name in outline.arms[arm].arrays]
    if len(arrays) > len(set(arrays)):
        return None
    return "the check `equal` on arrays that its arms keep; set study.keep=[latents]."


@figure(needs=equal_on_arrays)
def step_differences(record: Record) -> "Figure":
    """Every check that a control must fail, step by step: honest arms, and the bugs planted to be caught there."""
    aimed = {arm.control.fails for arm in record.arms.values() if arm.control}
    checks = dict.fromkeys(v.check for v in record.checks if len(v.series or ()) > 1)
    drawn = sorted((check for check in checks if check == "equal" or check in aimed), key=lambda check: check != "equal")
    if "equal" not in drawn:
        raise BadInput("no arm and the one it is compared with keep the same arrays.")
    figure = style.blank(style.COLUMN if len(drawn) == 1 else style.PAGE, 3.0)
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
    for colour, (name, line) in zip(
        (style.VERMILLION, style.PURPLE, style.GREEN, style.SKY) * len(aimed), aimed.items(), strict=False
    ):
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
    return f"{many}: worst" if any(v != 0 for line in lines for v in line) else f"{many}: always 0"


def audited(outline: Outline) -> str | None:
    if any("forecast_error" in arm.arrays for arm in outline.honest):
        return None
    return "audited arms; set audit: true on arms with a forecasting strategy."


@figure(needs=audited)
def would_be_forecasts(record: Record) -> "Figure":
    """Error of the forecast that a strategy would have made at a step, beside that of reusing the last full step."""
    arms = _of_one_length(record)
    dtypes = list(dict.fromkeys(arm.generator.options["dtype"] for arm in arms.values()))
    count = len(record.conditions)
    figure = style.blank(style.PAGE, 3.0)
    panels = figure.subplots(1, len(dtypes), sharey=True, squeeze=False)[0]
    for axes, dtype in zip(panels, dtypes, strict=True):
        _forecast_panel(axes, {name: arm for name, arm in arms.items() if arm.generator.options["dtype"] == dtype})
        axes.set_title(f"{dtype}, worst of {count} sample{'s' if count > 1 else ''}")
        axes.set_xlabel("step")
    panels[0].set_ylabel("relative L2 error of the features")
    _legend_by_strategy(figure, panels)
    style.question(figure, record, "Would a forecast have been closer to the step's features than mere reuse?")
    return figure


def _of_one_length(record: Record) -> dict[str, Arm]:
    """Honest audited arms with as many steps as the baseline, so that one axis serves all; every one where there is none."""
    arms = {name: arm for name, arm in record.arms.items() if not arm.control and "forecast_error" in arm.per_step}
    steps = {sum(arm.kinds.values()) for arm in record.arms.values() if arm.template == record.study.baseline}
    return {name: arm for name, arm in arms.items() if len(arm.per_step["forecast_error"]) in steps} or arms


def _forecast_panel(axes: "Axes", arms: dict[str, Arm]) -> None:
    axes.set_yscale("log")
    style.plain_logarithm(axes.yaxis, subs=(1, 2, 3, 5))
    axes.minorticks_off()
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

    handles = style.handles(panels)
    columns: dict[str, list[str]] = {}
    for label in sorted(handles, key=lambda text: text.startswith("reuse")):
        columns.setdefault(label.partition(":")[0], []).append(label)
    rows = max(map(len, columns.values()))
    cells = [label for column in columns.values() for label in column + [""] * (rows - len(column))]
    blank = Line2D([], [], linestyle="none")
    title = "a broken line is drawn only where its arms leave the solid one" if rows > 1 else None
    shown = [handles.get(cell, blank) for cell in cells]
    figure.legend(shown, cells, loc="outside lower left", title=title, alignment="left", ncols=len(columns), handlelength=2.4)
