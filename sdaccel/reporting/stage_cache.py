"""What a stage cache reused, by layer and stage, and how alike the stages were that it reused."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sdaccel.records.outline import Outline
from sdaccel.records.view import Arm, Record
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Table, faster
from sdaccel.reporting.registry import figure, table
from sdaccel.reporting.series import labels
from sdaccel.strategies.stage_cache.maps import FIRST
from sdaccel.strategies.stage_cache.options import KINDS
from sdaccel.strategies.stage_cache.statistics import summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {"attn": "attention", "mlp": "feed-forward"}
MOST = 6
"""Arms whose reuse is drawn: first those that save least, then ever more."""


def maps(arms: Mapping[str, Arm], name: str) -> dict[str, np.ndarray]:
    """Arm -> (kinds, layers, stages) of what it kept under this name; nan where nothing is known."""
    return {arm: np.array(own.diagnostics[name], dtype=float) for arm, own in arms.items() if name in own.diagnostics}


def keeps(name: str, how: str) -> Any:
    def needs(outline: Outline) -> str | None:
        return None if outline.keeping(f"diagnostics.{name}") else f"an arm with strategy: {how}."

    return needs


measured, cached = keeps("similarity", "stage_similarity"), keeps("reuse", "stage_cache")


@table(name="stage_reuse", place=150, needs=cached)
def reuse_table(record: Record) -> Table:
    """A row per arm: hits of what was eligible, the share of all sublayers, what that allows and what it brought."""
    columns = ("arm", "eligible", "reused", "hit rate", "overall reuse", "MAC ceiling", "measured speed-up")
    rows: list[tuple[Cell, ...]] = []
    for name, hits in maps(record.arms, "reuse").items():
        arm, timed = record.arms[name], record.timing.arms.get(name)
        eligible, reused = int(np.isfinite(hits).sum()), int(np.nansum(hits))
        speed = faster(timed.speedup) if timed else None
        rate = reused / eligible if eligible else 0.0
        rows.append((name, eligible, reused, rate, reused / hits.size, arm.mac_ceiling, speed))
    return Table(columns, rows)


@table(name="stage_reuse_by_stage", place=151, needs=cached)
def by_stage(record: Record) -> Table:
    """A row per arm and stage that was eligible: layers that reused."""
    rows: list[tuple[Cell, ...]] = []
    for name, hits in maps(record.arms, "reuse").items():
        tokens = tokens_of(record.arms[name])
        for stage in np.flatnonzero(np.isfinite(hits).any((0, 1))):
            counts = [int(np.nansum(each[:, stage])) for each in hits]
            rows.append((name, tokens[stage], *counts, hits.shape[1]))
    return Table(("arm", "stage, by its tokens", *(f"{NAMES[k]}: layers reused" for k in KINDS), "of"), rows)


@table(name="stage_similarity", place=152, needs=measured)
def similarity_table(record: Record) -> Table:
    """Over layers and stages: of the study's samples, and of those that a calibration was measured on."""
    rows: list[tuple[Cell, ...]] = []
    for name, found in similarities(record).items():
        for kind, values in zip(KINDS, found, strict=True):
            rows.append((name, NAMES[kind], *summary(values[np.isfinite(values)]).values()))
    return Table(("arm", "sublayer", *summary([0.0])), rows)


def similarities(record: Record) -> dict[str, np.ndarray]:
    """What was measured on the study's samples, and before them on others, each once."""
    found = maps(record.arms, "similarity")
    for name, arm in record.arms.items():
        if given := arm.strategy.options.get("similarity"):
            before = np.full((len(KINDS), len(given["attn"]), FIRST), np.nan)
            own = np.concatenate([before, np.array([given[kind] for kind in KINDS], dtype=float)], 2)
            if not any(np.array_equal(own, other, equal_nan=True) for other in found.values()):
                found[f"calibration of {record.arms[name].template}"] = own
    return found


def tokens_of(arm: Arm) -> list[int]:
    return [side * side for side in arm.generated.scales]


@figure(needs=measured)
def stage_similarity(record: Record) -> "Figure":
    """Heat maps layer x stage, a row per measurement, and beside them the mean over layers."""
    found = similarities(record)
    figure = style.blank(style.PAGE, 0.7 + 1.75 * len(found))
    panels = figure.subplots(len(found), 3, squeeze=False, width_ratios=[1, 1, 0.9])
    low = min(float(np.nanmin(values)) for values in found.values())
    for row, (name, values) in zip(panels, found.items(), strict=True):
        tokens = _tokens(record, name)[FIRST:]
        for axes, kind, own in zip(row, KINDS, values[..., FIRST:], strict=False):
            picture = _heat(axes, own, tokens, low=np.floor(10 * low) / 10)
            axes.set_title(f"{NAMES[kind]}, {name}")
            row[2].plot(range(len(tokens)), own.mean(0), "o-", markersize=2.6, label=NAMES[kind], color=COLOURS[kind])
            row[2].fill_between(range(len(tokens)), own.min(0), own.max(0), color=COLOURS[kind], alpha=0.15, linewidth=0)
        figure.colorbar(picture, ax=row[1], shrink=0.9, pad=0.02)
        _by_stage(row[2], tokens)
        row[2].set_ylim(np.floor(10 * low) / 10, 1)
        row[2].set_title("mean and range over layers")
    panels[0][2].legend(loc="lower right")
    style.question(figure, record, "How alike are a stage's sublayers to those of the stage before, enlarged?")
    return figure


COLOURS = {"attn": style.BLUE, "mlp": style.VERMILLION}


def _tokens(record: Record, name: str) -> list[int]:
    own = record.arms.get(name)
    return tokens_of(own or next(arm for arm in record.arms.values() if arm.strategy.options.get("similarity")))


@figure(needs=cached)
def stage_reuse(record: Record) -> "Figure":
    """Heat maps layer x stage of what was reused: a column per arm, from little to much; white was not eligible."""
    found = maps(record.arms, "reuse")
    drawn = _apart(sorted(found, key=lambda name: float(np.nansum(found[name]))), found)
    called = labels({name: record.arms[name] for name in drawn})
    figure = style.blank(style.PAGE, 3.6)
    panels = figure.subplots(len(KINDS), len(drawn), squeeze=False, sharex="col", sharey="col")
    first = min((int(np.argmax(asked)) for name in drawn if (asked := np.isfinite(found[name]).any((0, 1))).any()), default=0)
    for column, name in enumerate(drawn):
        tokens = tokens_of(record.arms[name])
        for axes, kind, hits in zip(panels[:, column], KINDS, found[name], strict=True):
            _heat(axes, hits[:, first:], tokens[first:], low=-0.3, map_="Blues", high=1.3, named=axes in panels[-1])
            axes.set_ylabel(f"{NAMES[kind]}\nlayer" if column == 0 else "")
        share = np.nansum(found[name]) / found[name].size
        panels[0][column].set_title("\n".join([*called[name].split(), f"{share:.0%} of all"]), fontsize=6)
    style.question(figure, record, "Which sublayers take what the stage before stored? Dark: reused; pale: eligible, computed")
    return figure


def _apart(names: Sequence[str], found: Mapping[str, np.ndarray]) -> list[str]:
    """Of arms that reuse the same one, and of many those that lie evenly."""
    seen = {found[name].tobytes(): name for name in names}
    distinct = [*seen.values()]
    if len(distinct) <= MOST:
        return distinct
    return [distinct[round(i * (len(distinct) - 1) / (MOST - 1))] for i in range(MOST)]


def _heat(
    axes: "Axes",
    values: np.ndarray,
    tokens: Sequence[int],
    *,
    low: float,
    high: float = 1.0,
    map_: str = "viridis",
    named: bool = True,
) -> Any:
    """Layers downwards, stages to the right."""
    picture = axes.imshow(values, vmin=low, vmax=high, cmap=map_, aspect="auto", interpolation="nearest")
    layers = values.shape[0]
    axes.set_yticks(range(0, layers, max(1, layers // 4)))
    axes.set_ylabel("layer")
    _by_stage(axes, tokens if named else [""] * len(tokens))
    if not named:
        axes.set_xlabel("")
    return picture


def _by_stage(axes: "Axes", tokens: Sequence[Any]) -> None:
    axes.set_xticks(range(len(tokens)), [str(n) for n in tokens], rotation=90, fontsize=5.5)
    axes.set_xlabel("stage, by its tokens")
