"""How often a draft says what the target says, scale by scale, and what speculation can make of it at best."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sdaccel.generators.nextscale.layout import Layout
from sdaccel.metrics.aggregate import of_values
from sdaccel.records.outline import Outline
from sdaccel.records.view import Arm, Record, Sample
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Range, Table
from sdaccel.reporting.registry import figure, table
from sdaccel.strategies.speculative.expectation import CALLS, expected, rounds_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GAMMAS = (1, 2, 3, 4)
COUPLED, REJECTION = "speculative_coupled", "speculative_rejection"
RULES = {COUPLED: "-", REJECTION: (0, (3, 1.2))}
"""The exact rules, and how their lines are drawn."""
MARKS = {COUPLED: "o", REJECTION: "s"}
COLOURS = (style.BLUE, style.VERMILLION, style.GREEN)
"""Line colours, one per draft."""
MEASURES = {
    "match": "draft = argmax of the target",
    "same": "draft = target's draw, same noise",
    "tv": "total variation",
    "kl": "KL (nats)",
    COUPLED: "scale stands, coupled",
    REJECTION: "scale stands, rejection",
}


def profiles(record: Record) -> dict[str, Sequence[Sample]]:
    """Draft -> every sample, of the arms that watched."""
    return {draft_of(arm): arm.samples for arm in record.arms.values() if arm.strategy.name == "speculative_profile"}


def draft_of(arm: Arm) -> str:
    """The option that tells drafts from each other; without one, `draft`."""
    return str(arm.point.get("draft", "draft"))


def by_scale(samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    """Measure -> (samples, K - 1): the last scale is never drafted."""
    names = ("match", "same", "tv", "kl", "whole")
    found = {name: np.array([sample.stats[name][:-1] for sample in samples], dtype=float) for name in names}
    whole = found.pop("whole")
    return found | {COUPLED: (found["same"] == 1).astype(float), REJECTION: whole}


def calls(rule: str, stood: np.ndarray, *, gamma: int) -> np.ndarray:
    """Target calls of every sample: of a coupled one exactly, of rejection the mean over its draws.

    What stands under coupling is the target's own, so what follows is as on the target's path. Rejection may go another way;
    its later chances are taken from the target's.
    """
    if rule == COUPLED:
        return np.array([len(rounds_of(list(row == 1), gamma=gamma)) for row in stood], dtype=float)
    return np.array([expected(CALLS, row.tolist(), gamma=gamma) for row in stood])


def counted(record: Record, rule: str) -> dict[str, dict[int, np.ndarray]]:
    """Draft -> gamma -> target calls of every sample, of the arms that ran this rule with a fixed gamma."""
    out: dict[str, dict[int, np.ndarray]] = {}
    for arm in record.arms.values():
        options = arm.strategy.options
        if arm.strategy.name == rule and options["policy"] == "fixed":
            found = np.array([sample.stats["target_calls"] for sample in arm.samples], dtype=float)
            out.setdefault(draft_of(arm), {})[options["gamma"]] = found
    return out


def interval(values: np.ndarray) -> Range:
    """Mean of samples, with its interval where there are enough."""
    found = of_values(values)
    return Range(float(values.mean()), found.low, found.high)


def sides(record: Record) -> list[int]:
    """Side length p_k of every scale, of the first arm that has scales."""
    return list(next(arm.generated.scales for arm in record.arms.values() if arm.generated.scales))


def profiled(outline: Outline) -> str | None:
    watched = any(arm.strategy.name == "speculative_profile" for arm in outline.arms.values())
    return None if watched else "an arm with strategy: speculative_profile."


@table(name="acceptance", place=120, needs=profiled)
def acceptance_table(record: Record) -> Table:
    """A row per draft and scale."""
    columns = ("draft", "scale", "tokens", *MEASURES.values())
    rows: list[tuple[Cell, ...]] = []
    for draft, samples in profiles(record).items():
        found, tokens = by_scale(samples), Layout(tuple(sides(record))).lengths()
        rows += [(draft, k, tokens[k], *(interval(found[m][:, k]) for m in MEASURES)) for k in range(len(tokens) - 1)]
    return Table(columns, rows)


@table(name="target_calls", place=130, needs=profiled)
def calls_table(record: Record) -> Table:
    """Target calls per image as foretold, and as counted where an arm ran."""
    columns = ("draft", "rule", "gamma", "target calls, foretold", "target calls, counted", "accepted scales per call")
    rows: list[tuple[Cell, ...]] = []
    for draft, samples in profiles(record).items():
        found = by_scale(samples)
        for rule in RULES:
            ran = counted(record, rule).get(draft, {})
            for gamma in GAMMAS:
                each = calls(rule, found[rule], gamma=gamma)
                scales = found[rule].shape[1] + 1
                measured = interval(ran[gamma]) if gamma in ran else None
                rows.append((draft, rule, gamma, interval(each), measured, scales / float(each.mean()) - 1))
    return Table(columns, rows)


@figure(needs=profiled)
def acceptance_profile(record: Record) -> "Figure":
    """Agreement per token and per scale, then calls of the target over gamma: foretold as lines, counted as marks."""
    found = {draft: by_scale(samples) for draft, samples in profiles(record).items()}
    figure = style.blank(style.PAGE, 4.7)
    panels = figure.subplots(2, 3).flatten()
    for colour, (draft, measures) in zip(COLOURS, found.items(), strict=False):
        for axes, measure, dashes in (
            (panels[0], "match", "-"),
            (panels[0], "same", (0, (3, 1.2))),
            (panels[1], "tv", "-"),
            (panels[2], "kl", "-"),
            (panels[3], COUPLED, RULES[COUPLED]),
            (panels[3], REJECTION, RULES[REJECTION]),
        ):
            _line(axes, measures[measure], colour, dashes, f"{draft}: {MEASURES[measure]}")
        for rule, dashes in RULES.items():
            _over_gamma(panels[4], panels[5], record, draft, rule, measures[rule], colour, dashes)
    _name(panels, Layout(tuple(sides(record))).lengths())
    drafts = [panels[1].plot([], [], color=c, label=d)[0] for c, d in zip(COLOURS, found, strict=False)]
    said: list[tuple[str, dict[str, Any]]] = [
        ("argmax; coupled", {"linestyle": "-"}),
        ("same draw; rejection", {"linestyle": RULES[REJECTION]}),
        *((f"counted, {rule}", {"linestyle": "none", "marker": mark, "markersize": 3.6}) for rule, mark in MARKS.items()),
    ]
    handles = [panels[1].plot([], [], color="black", label=label, **how)[0] for label, how in said]
    figure.legend(handles=[*drafts, *handles], loc="outside lower left", ncols=3)
    style.question(figure, record, record.study.question)
    return figure


def _line(axes: "Axes", values: np.ndarray, colour: str, dashes: Any, label: str) -> None:
    """Means by scale with their intervals."""
    ends = [interval(column) for column in values.T]
    axes.plot([e.estimate for e in ends], color=colour, linestyle=dashes, marker="o", markersize=2.4, label=label)
    _bars(axes, list(range(len(ends))), ends, colour)


def _bars(axes: "Axes", places: Sequence[float], ends: Sequence[Range], colour: str) -> None:
    for place, e in zip(places, ends, strict=True):
        if e.low is not None and e.high is not None:
            axes.plot([place, place], [e.low, e.high], color=colour, linewidth=2, alpha=0.35, solid_capstyle="butt")


def _over_gamma(
    accepted: "Axes", called: "Axes", record: Record, draft: str, rule: str, stood: np.ndarray, colour: str, dashes: Any
) -> None:
    scales = stood.shape[1] + 1
    ends = [interval(calls(rule, stood, gamma=gamma)) for gamma in GAMMAS]
    called.plot(GAMMAS, [e.estimate for e in ends], color=colour, linestyle=dashes)
    accepted.plot(GAMMAS, [scales / e.estimate - 1 for e in ends], color=colour, linestyle=dashes)
    _bars(called, GAMMAS, ends, colour)
    for gamma, ran in counted(record, rule).get(draft, {}).items():
        mark: dict[str, Any] = {"color": colour, "marker": MARKS[rule], "markersize": 3.6, "fillstyle": "none"}
        called.plot(gamma, ran.mean(), **mark)
        accepted.plot(gamma, scales / ran.mean() - 1, **mark)


def _name(panels: Sequence["Axes"], tokens: Sequence[int]) -> None:
    titles = ("tokens that agree", "total variation", "KL(target, draft), nats", "scales that stand")
    for axes, title in zip(panels, (*titles, "accepted scales per target call", "target calls per image"), strict=True):
        axes.set_title(title)
    for axes in panels[:4]:
        axes.set_xticks(range(len(tokens) - 1), [str(n) for n in tokens[:-1]])
        axes.set_xlabel("scale, by its tokens")
    for axes in panels[4:]:
        axes.set_xticks(GAMMAS)
        axes.set_xlabel("γ, scales proposed")
    for i in (0, 1, 3):
        panels[i].set_ylim(-0.03, 1.03)
    panels[2].set_ylim(bottom=0)
    panels[4].set_ylim(bottom=0)
    panels[5].set_ylim(0, 1.08 * len(tokens))
    panels[5].axhline(len(tokens), color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    panels[5].annotate(
        "target alone", (1, len(tokens)), xytext=(0, 2), textcoords="offset points", fontsize=6, color=style.GREY
    )
