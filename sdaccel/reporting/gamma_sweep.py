"""Which setting of speculation is best within SDVAR's budget of target calls, and what the same draft does without asking."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sdaccel.metrics.metric import of
from sdaccel.records.outline import Outline
from sdaccel.records.view import Arm, Record
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Table, ranged
from sdaccel.reporting.registry import figure, table, with_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BUDGET = 5
"""Target calls that SDVAR's documents promise at most."""
COLOURS = {
    "speculative_coupled": style.BLUE,
    "speculative_rejection": style.SKY,
    "speculative_kl": style.GREEN,
    "speculative_neighbourhood": style.ORANGE,
    "speculative_topk": style.PURPLE,
    "speculative_top1": style.VERMILLION,
}
HANDOVER = "handover"
MARKS = ("o", "s", "^", "D")
"""By draft."""
DISTANCES = ("fid", "kid")
"""What settings are ranked by: the second where there are too few samples for the first."""


@dataclass(frozen=True)
class Setting:
    """One arm with a draft, on average over its samples."""

    arm: str
    rule: str
    """The strategy."""
    exact: bool
    draft: str
    gamma: int
    """Of handover, the scales that the draft makes."""
    policy: str
    calls: float
    kept: float
    """Scales of the draft that stay in the picture, whole."""
    share: float | None
    """Drafted scales that stood."""


def settings(record: Record) -> list[Setting]:
    """All arms that speculate or hand over."""
    out = []
    for name, arm in record.arms.items():
        options, draft, rule = arm.strategy.options, str(arm.point.get("draft", "draft")), arm.strategy.name
        if arm.control or rule not in (*COLOURS, HANDOVER):
            continue
        calls, exact = _mean(arm, "target_calls"), arm.facts.exact
        if rule == HANDOVER:
            entry = options["entry_num"]
            out.append(Setting(name, rule, exact, draft, entry, "", calls, entry, None))
        else:
            drafted, kept = _mean(arm, "drafted"), _mean(arm, "accepted")
            share = kept / drafted if drafted else None
            out.append(Setting(name, rule, exact, draft, options["gamma"], options["policy"], calls, kept, share))
    return out


def _mean(arm: Arm, stat: str) -> float:
    return float(np.mean([sample.stats[stat] for sample in arm.samples]))


def ranked_by(record: Record) -> str | None:
    """The distance that every setting has."""
    found = [record.arms[s.arm] for s in settings(record)]
    return next((d for d in DISTANCES if found and all(arm.estimate(d) is not None for arm in found)), None)


def best(record: Record) -> Setting | None:
    """Of those that verify, the lowest distance within the budget; None: none keeps to it."""
    metric = ranked_by(record)
    affordable = [s for s in settings(record) if metric and s.rule != HANDOVER and s.calls <= BUDGET]
    return min(affordable, key=lambda s: record.arms[s.arm].known(str(metric)), default=None)


def beside(record: Record, setting: Setting) -> Setting | None:
    """The handover of the same draft that keeps as many of its scales, to the nearest."""
    same = [s for s in settings(record) if s.rule == HANDOVER and s.draft == setting.draft]
    return min(same, key=lambda s: abs(s.kept - setting.kept), default=None)


def smaller(record: Record) -> list[str]:
    """Arms that are another model alone."""
    depth = record.arms[record.study.baseline].generated.depth
    return [
        name
        for name, arm in record.measured.items()
        if arm.strategy.name == "original" and arm.generated.depth not in (None, depth)
    ]


@table(name="gamma_sweep", place=140, needs=with_figure("gamma_sweep"))
def gamma_table(record: Record) -> Table:
    """A row per arm, the best setting and what it stands beside marked."""
    columns = (
        "arm",
        "rule",
        "draft",
        "gamma",
        "policy",
        "target calls",
        "accepted",
        "MACs",
        "FID",
        "KID",
        "judge: class",
        "mark",
    )
    rows: list[tuple[Cell, ...]] = []
    for s in settings(record):
        paid = _paid(record.arms[s.arm])
        rows.append((s.arm, s.rule, s.draft, s.gamma, s.policy, s.calls, s.share, *paid, _mark(record, s)))
    for name in smaller(record):
        rows.append((name, "draft alone", name, None, "", 0.0, None, *_paid(record.arms[name]), ""))
    return Table(columns, rows)


def _mark(record: Record, setting: Setting) -> str:
    top = best(record)
    if setting == top:
        return f"best within {BUDGET} calls"
    if top is not None and setting == beside(record, top):
        return "as many draft scales as the best"
    return ""


def _paid(arm: Arm) -> list[Cell]:
    """Cost, then quality."""
    return [arm.cost, *(ranged(arm.metrics.get(metric)) for metric in (*DISTANCES, "judge.class"))]


def speculating(outline: Outline) -> str | None:
    arms = [arm for arm in outline.honest if arm.strategy.name in (*COLOURS, HANDOVER)]
    if all(arm.strategy.name == HANDOVER for arm in arms):
        return "arms with speculative strategies, such as strategy: speculative_coupled."
    alone, fewest = outline.baseline, min(of(distance).fewest for distance in DISTANCES)
    if alone and any(all(distance in arm.metrics for arm in (alone, *arms)) for distance in DISTANCES):
        return None
    return f"FID or KID of study.baseline and of arms with a draft; set metrics=world and data.limit={fewest} or more."


@figure(needs=speculating)
def gamma_sweep(record: Record) -> "Figure":
    """Quality over target calls with the budget shaded; below, what gamma does to calls and to acceptance."""
    metric, every = ranked_by(record), settings(record)
    assert metric is not None
    figure = style.blank(style.PAGE, 5.4)
    panels = figure.subplots(2, 2)
    drafts = list(dict.fromkeys(s.draft for s in every))
    judged = all(arm.estimate("judge.class") is not None for arm in record.measured.values())
    for axes, shown in zip(panels[0], (metric, *(["judge.class"] if judged else [])), strict=False):
        _over_calls(axes, record, every, drafts, shown)
    panels[0][1].set_visible(judged)
    _over_gamma(panels[1][0], every, drafts, "calls")
    _over_gamma(panels[1][1], every, drafts, "share")
    _explain(panels[1][0], record, every)
    handles = style.handles(panels.flat)
    for draft, mark in zip(drafts, MARKS, strict=False):
        handles[draft] = panels[0][0].plot([], [], linestyle="none", marker=mark, color="black", markersize=3)[0]
    if any(s.policy not in ("", "fixed") for s in every):
        hollow: dict[str, Any] = {"linestyle": "none", "marker": "o", "fillstyle": "none", "color": "black", "markersize": 4.4}
        handles["γ by policy: seed, adaptive"] = panels[0][0].plot([], [], **hollow)[0]
    style.legend(figure, handles, columns=4)
    style.question(figure, record, record.study.question)
    return figure


def _over_calls(axes: "Axes", record: Record, every: list[Setting], drafts: list[str], metric: str) -> None:
    arms, alone = record.arms, record.arms[record.study.baseline].known(metric)
    axes.axvspan(0, BUDGET, color=style.PALE, linewidth=0, zorder=-1)
    axes.axhline(alone, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)), label="target alone")
    for (rule, draft, policy), own in _lines(every).items():
        colour = COLOURS.get(rule, "black")
        mark, hollow = MARKS[drafts.index(draft) % len(MARKS)], policy not in ("", "fixed")
        for s in own:
            if ends := arms[s.arm].metrics[metric].ends:
                axes.plot([s.calls] * 2, ends, color=colour, linewidth=1, alpha=0.4)
        axes.plot(
            [s.calls for s in own],
            [arms[s.arm].known(metric) for s in own],
            color=colour,
            linewidth=0.7,
            linestyle="none" if hollow else "-" if draft == drafts[0] else (0, (3, 1.2)),
            marker=mark,
            markersize=4.4 if hollow else 2.8,
            fillstyle="none" if hollow else "full",
        )
    for name, mark in zip(smaller(record), MARKS, strict=False):
        axes.plot(0, arms[name].known(metric), mark, color=style.GREY, markersize=4.4, label="draft alone", clip_on=False)
    if (top := best(record)) is not None:
        place = (top.calls, arms[top.arm].known(metric))
        axes.plot(*place, "*", color="black", markersize=9, fillstyle="none", label=f"best within {BUDGET} calls")
        if (other := beside(record, top)) is not None:
            place = (other.calls, arms[other.arm].known(metric))
            axes.plot(*place, "P", color="black", markersize=6, fillstyle="none", label="handover, as many draft scales")
    axes.set_xlim(left=0)
    axes.set_xlabel("target calls per image")
    axes.set_ylabel(of(metric).axis)


def _lines(every: list[Setting]) -> dict[tuple[str, str, str], list[Setting]]:
    """Settings that differ in gamma alone."""
    out: dict[tuple[str, str, str], list[Setting]] = {}
    for s in sorted(every, key=lambda s: s.gamma):
        out.setdefault((s.rule, s.draft, s.policy), []).append(s)
    return out


def _over_gamma(axes: "Axes", every: list[Setting], drafts: list[str], what: str) -> None:
    """Of fixed gammas; handover has none."""
    for (rule, draft, policy), own in _lines(every).items():
        known = [s for s in own if getattr(s, what) is not None]
        if policy != "fixed" or not known:
            if rule == HANDOVER:
                axes.plot([], [], color="black", label="handover, nothing asked")
            continue
        axes.plot(
            [s.gamma for s in known],
            [getattr(s, what) for s in known],
            color=COLOURS[rule],
            linestyle="-" if draft == drafts[0] else (0, (3, 1.2)),
            marker=MARKS[drafts.index(draft) % len(MARKS)],
            markersize=2.8,
            label=("_" if draft != drafts[0] else "") + (f"{rule} (exact)" if known[0].exact else rule),
        )
    axes.set_xticks(sorted({s.gamma for s in every if s.policy == "fixed"}))
    axes.set_xlabel("γ, scales proposed")
    axes.set_ylabel({"calls": "target calls per image", "share": "drafted scales that stood"}[what])
    axes.set_ylim(bottom=0)


def _explain(axes: "Axes", record: Record, every: list[Setting]) -> None:
    """The budget, and how near the exact rules come to it."""
    axes.axhspan(0, BUDGET, color=style.PALE, linewidth=0, zorder=-1)
    exact = [s.calls for s in every if s.exact]
    if exact:
        says = "within" if min(exact) <= BUDGET else "beyond"
        text = f"exact rules: {min(exact):.1f} calls at best, {says} the promised {BUDGET}"
        axes.set_title(text + ("" if best(record) else "; no rule keeps to them"))
