"""What differences of features look like, by layer and order: their size, and how far from Gaussian they are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sdaccel.records.view import Record
from sdaccel.reporting import style
from sdaccel.reporting.forecast_errors import collected, collecting
from sdaccel.reporting.registry import figure
from sdaccel.strategies.forecast.distributions import EDGES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (style.BLUE, style.VERMILLION, style.GREEN)


@figure(needs=collecting)
def difference_laws(record: Record) -> "Figure":
    """Densities beside the Gaussian, then by feature: the share of directions that fail a test of normality, and kurtosis."""
    found = collected(record)
    interval = sorted(found)[len(found) // 2]
    some, names = found[interval], features(record)
    figure = style.blank(style.PAGE, 2.9)
    densities, tests, tails = figure.subplots(1, 3)
    middles = (EDGES[1:] + EDGES[:-1]).numpy() / 2
    densities.plot(
        middles, np.exp(-(middles**2) / 2) / np.sqrt(2 * np.pi), color=style.GREY, linewidth=2.4, alpha=0.5, label="Gaussian"
    )
    for order, colour in zip(range(len(some["difference_histogram"])), COLOURS, strict=False):
        rows = np.array(some["difference_histogram"][order])
        densities.fill_between(middles, rows.min(0), rows.max(0), color=colour, alpha=0.2, linewidth=0)
        densities.plot(middles, rows.mean(0), color=colour, label=f"order {order + 1}: mean, and range over features")
        places = range(len(names))
        tests.plot(places, some["difference_rejected"][order], "o-", color=colour, markersize=2.6, label=f"order {order + 1}")
        tails.plot(places, some["difference_kurtosis"][order], "o-", color=colour, markersize=2.6, label=f"order {order + 1}")
    densities.set_yscale("log")
    densities.set_ylim(1e-4, 1)
    densities.set_xlabel("standardised difference")
    densities.set_title("density")
    tests.axhline(0.05, color=style.GREY, linewidth=0.8, label="were they Gaussian")
    tests.set_ylim(-0.02, 1.02)
    tests.set_title("directions failing Lilliefors' test at 5 %")
    tails.axhline(0, color=style.GREY, linewidth=0.8, label="Gaussian")
    tails.set_title("excess kurtosis")
    for axes in (tests, tails):
        _by_feature(axes, names)
    style.legend(figure, style.handles([densities]), columns=3)
    style.question(figure, record, f"Are differences Gaussian, as HiCache's polynomials assume? Anchors {interval} steps apart")
    return figure


@figure(needs=collecting)
def feature_sizes(record: Record) -> "Figure":
    """By feature: size over the run, and how far it moves between two full steps relative to it."""
    from matplotlib.ticker import FormatStrFormatter

    found = collected(record)
    names = features(record)
    sizes = np.array(next(iter(found.values()))["feature_rms"])
    figure = style.blank(style.PAGE, 2.9)
    over_time, moved = figure.subplots(1, 2, width_ratios=[1.2, 1])
    shades = [(0.1 + 0.75 * i / max(1, len(names) - 1)) for i in range(len(names))]
    for name, row, shade in zip(names, sizes, shades, strict=True):
        kind = 0 if name.endswith("attn") else 1 if name.endswith("mlp") else 2
        over_time.plot(row, color=COLOURS[kind], alpha=1 - 0.75 * shade, linewidth=1)
    for label, colour in zip(
        ("attention of double blocks", "MLP of double blocks", "single blocks, later ones paler"), COLOURS, strict=True
    ):
        over_time.plot([], [], color=colour, label=label)
    over_time.set_yscale("log")
    over_time.set_xlabel("step")
    over_time.set_title("root mean square of the features")
    for (interval, some), dash in zip(found.items(), ("-", "--", ":"), strict=False):
        for order, colour in zip(range(len(some["difference_size"])), COLOURS, strict=False):
            share = np.array(some["difference_size"][order]) / sizes.mean(1)
            moved.plot(
                range(len(names)),
                share,
                color=colour,
                linestyle=dash,
                marker="o",
                markersize=2,
                label=f"order {order + 1}, interval {interval}",
            )
    moved.set_title("size of Nⁱ Lᵢ / size of the feature")
    _by_feature(moved, names)
    over_time.yaxis.set_major_formatter(FormatStrFormatter("%g"))
    over_time.yaxis.set_minor_formatter(FormatStrFormatter("%g"))
    over_time.legend(loc="best")
    style.legend(figure, style.handles([moved]), columns=3)
    style.question(figure, record, "How large are features, and how far do they move between full steps?")
    return figure


def features(record: Record) -> list[str]:
    """As the seam names them: attention and MLP of every double block, then the single blocks."""
    options = next(arm.generator.options for arm in record.arms.values() if "products" in arm.diagnostics)
    doubles = [f"double.{i}.{part}" for i in range(options["doubles"]) for part in ("attn", "mlp")]
    return doubles + [f"single.{i}" for i in range(options["singles"])]


def _by_feature(axes: "Axes", names: Sequence[str]) -> None:
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=5.5)
