"""CoDe's speed beside the published ratios (arXiv 2411.17787): what was reached, what arithmetic allows, what differs."""

from typing import TYPE_CHECKING, Any

from hydra.utils import instantiate

from sdaccel.errors import BadInput
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Range, Table
from sdaccel.reporting.series import labels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = dict[str, Any]

PUBLISHED = {
    64: {"d24": 1.7, "d20": 2.8, "N=9": 1.2, "N=8": 1.7, "N=7": 2.3, "N=6": 2.9},
    1: {"N=6": 1.6},
}
"""Batch size -> arm -> times as fast as d30: one L20, float16 autocast without FlashAttention, the decoder not timed."""
COLUMNS = ("arm", "batch", "speed-up", "published", "of published", "MAC ceiling", "ceiling without decoder", "decoder's share")


def kind_of(record: Record, name: str) -> str:
    """The published name of an arm: N scales by the large model, or a single model's depth."""
    config = record["content"]["config"]["arms"][name]
    if "draft_scales" in config["strategy"]:
        return f"N={config['strategy']['draft_scales']}"
    return f"d{config['generator']['depth']}" if config["strategy"]["_target_"].endswith(".Original") else ""


def decoder_share(record: Record, name: str) -> float:
    """Of an arm's arithmetic, in the timer here and not in the published one."""
    decoder = instantiate(record["content"]["config"]["arms"][name]["generator"], _convert_="all").cost().decode_macs
    return float(decoder / (decoder + record["content"]["arms"][name]["macs"]))


def code_speed_table(record: Record) -> Table:
    """Studies that ask for the figure `code_speed`."""
    asked = "code_speed" in record["content"]["config"]["study"]["figures"]
    timed: Record = record["timing"] if asked and record["timing"] else {"arms": {}, "batch_size": 0}
    arms = record["content"]["arms"]
    names = labels({name: arms[name] for name in timed["arms"]})
    published = PUBLISHED.get(timed["batch_size"], {})
    rows: list[tuple[Cell, ...]] = []
    for name, found in timed["arms"].items():
        speed, said = found["speedup"], published.get(kind_of(record, name))
        share, base = decoder_share(record, name), decoder_share(record, found["baseline"])
        bare = arms[name]["mac_ceiling"]
        whole = arms[found["baseline"]]["macs"] / (1 - base) / (arms[name]["macs"] / (1 - share))
        reached = Range(speed["p50"], speed["p10"], speed["p90"])
        rows.append(
            (names[name], timed["batch_size"], reached, said, said and speed["p50"] / said, whole, bare, share),
        )
    return Table("code_speed", COLUMNS, rows, missing="not published")


def code_speed(record: Record) -> "Figure":
    """Measured p50 with p10 and p90, the published ratio, and what arithmetic allows."""
    from matplotlib.figure import Figure

    rows: list[Record] = [dict(zip(COLUMNS, row, strict=True)) for row in code_speed_table(record).rows]
    if not rows:
        raise BadInput("figure code_speed needs timed arms beside d30; set study.timing.repeats.")
    figure = Figure(figsize=(style.COLUMN, 1.3 + 0.2 * len(rows)))
    axes = figure.subplots()
    for place, row in enumerate(rows):
        speed = row["speed-up"]
        axes.plot([speed.low, speed.high], [place, place], color=style.SKY, linewidth=5, solid_capstyle="butt")
        axes.plot(speed.estimate, place, "|", color=style.BLUE, markersize=9, mew=1.6, label="measured p50 [p10, p90]")
        axes.plot(row["MAC ceiling"], place, "D", color=style.VERMILLION, fillstyle="none", markersize=4, label="MAC ceiling")
        if row["published"] is not None:
            axes.plot(row["published"], place, "s", color="black", markersize=4, label="published (no decoder)")
    axes.axvline(1, color=style.GREY, linewidth=0.8, linestyle=(0, (4, 2)))
    axes.set_yticks(range(len(rows)), [str(row["arm"]) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"speed-up over {record['content']['config']['study']['baseline']} (×), B = {rows[0]['batch']}")
    handles = {name: h for h, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, loc="outside lower left", ncols=2)
    style.question(figure, "Does CoDe reach the published ratios?")
    return figure
