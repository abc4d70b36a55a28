"""Claims of equality, token by token: a row per arm, and at every scale the share of places where any sample differs."""

import itertools
from typing import TYPE_CHECKING

import numpy as np

from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.records.outline import Outline
from sdaccel.records.view import Record
from sdaccel.reporting import series, style
from sdaccel.reporting.acceptance import sides
from sdaccel.reporting.registry import figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def differing(record: Record) -> dict[str, np.ndarray]:
    """Arm -> share of differing tokens by scale, of the verdicts `equal` on tokens; controls last."""
    layout = Layout(tuple(sides(record)))
    o = [layout.token_start(k) for k in range(layout.scales + 1)]
    found = [v for v in record.checks if v.check == "equal" and len(v.series or ()) == o[-1]]
    return {
        v.arm: np.array([np.mean([x != 0 for x in (v.series or ())[a:b]]) for a, b in itertools.pairwise(o)])
        for v in sorted(found, key=lambda v: v.control)
    }


def equal_on_tokens(outline: Outline) -> str | None:
    looked = [outline.arms[name] for name in outline.checks.get("equal", ())]
    if sum("tokens" in arm.arrays and bool(arm.scales) for arm in looked) > 1:
        return None
    return "the check `equal` on tokens of a next-scale model; set study.keep=[tokens]."


@figure(needs=equal_on_tokens)
def token_equality(record: Record) -> "Figure":
    """Honest arms above the line, planted bugs, which must show, below."""
    shares, arms = differing(record), record.arms
    if not shares:
        raise BadInput("no arm and the one it is compared with keep the same tokens.")
    honest = series.labels({name: arms[name] for name in shares if not arms[name].control})
    names = [honest.get(name, f"planted: {arms[name].template}") for name in shares]
    against = {v.arm: v.against for v in record.checks}
    figure = style.blank(style.PAGE, 1.2 + 0.17 * len(shares))
    axes = figure.subplots()
    values = np.stack(list(shares.values()))
    image = axes.imshow(values, cmap="Oranges", vmin=0, vmax=1, aspect="auto")
    for (row, scale), share in np.ndenumerate(values):
        axes.annotate(
            _said(share), (scale, row), ha="center", va="center", fontsize=5.5, color="white" if share > 0.6 else "black"
        )
    axes.set_yticks(range(len(names)), [f"{name} = {against[arm]}?" for name, arm in zip(names, shares, strict=True)])
    tokens = Layout(tuple(sides(record))).lengths()
    axes.set_xticks(range(len(tokens)), [str(n) for n in tokens])
    axes.set_xlabel("scale, by its tokens")
    axes.axhline(len(honest) - 0.5, color="black", linewidth=0.8)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="share of places that differ in any sample", fraction=0.04)
    style.question(figure, record, record.study.question)
    return figure


def _said(share: float) -> str:
    """Only what is exactly 0 reads as 0."""
    return "0" if share == 0 else f"{share:.2g}"
