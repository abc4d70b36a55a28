"""One look for every figure: readable at a paper's column width, safe for colour-blind readers, the same bytes every time."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdaccel.records.view import Record
from sdaccel.reporting.scripts import OURS, families, unwarned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.3, 7.0
"""Inches: one column and the full width of a two-column paper."""

# Okabe and Ito's palette: distinct under the common colour deficiencies and in grey print.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
GREY, PALE = "#666666", "#EDEDED"
CYCLE = (VERMILLION, BLUE, GREEN, PURPLE, ORANGE, SKY)

RC = {
    "font.family": OURS,
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.titlesize": 8.5,
    "figure.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "legend.labelspacing": 0.35,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,  # TrueType: text stays text, which publishers ask for
    "savefig.dpi": 220,
}
# Versions and dates would change the bytes of an unchanged figure.
METADATA = {"pdf": {"CreationDate": None, "Producer": None, "Creator": None}, "png": {"Software": None}}


@contextmanager
def styled(text: str = "") -> Iterator[None]:
    """This look, with fonts for this text, and no settings of the user's own; figures are made and saved inside."""
    from matplotlib import style

    with style.context(["default", RC | {"font.family": families(text)}]), unwarned():
        yield


def blank(width: float, height: float) -> "Figure":
    """An empty figure of so many inches. matplotlib loads here and not with the modules, so that names are cheap to check."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def save(figure: "Figure", folder: Path, name: str) -> list[Path]:
    """The figure as PDF for papers and PNG for screens."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, metadata in METADATA.items():
        path = folder / f"{name}.{kind}"
        figure.savefig(path, metadata=metadata)
        paths.append(path)
    return paths


def titled(record: Record, text: str) -> str:
    """With a word on random weights, where the record has any."""
    return f"{text} ({record.weights})" if record.weights else text


def question(figure: "Figure", record: Record, text: str) -> None:
    """The title of a figure is what it answers, flush left, broken where the figure ends."""
    wrapped = textwrap.fill(titled(record, text), int(13 * figure.get_figwidth()))
    figure.suptitle(wrapped, x=0.01, ha="left")


def handles(panels: "Iterable[Axes]") -> dict[str, Any]:
    """Label -> handle; a label that several lines or panels have is there once."""
    return {name: h for axes in panels for h, name in zip(*axes.get_legend_handles_labels(), strict=True)}


def legend(figure: "Figure", handles: Mapping[str, Any], *, columns: int, **options: Any) -> None:
    """One for all panels, under them."""
    figure.legend(list(handles.values()), list(handles), loc="outside lower left", ncols=columns, **options)


def plain_logarithm(axis: "Axis", *, subs: tuple[int, ...] = (1, 2, 5)) -> None:
    """Ticks of a logarithmic axis at these multiples of powers of ten, as plain numbers."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FormatStrFormatter("%g"))
    axis.set_minor_formatter(NullFormatter())


def legends_below(figure: "Figure", panels: "Iterable[Axes]") -> None:
    """Each panel's legend under it, outside the layout, so that long names never squeeze the data."""
    from matplotlib.transforms import ScaledTranslation

    below = ScaledTranslation(-0.45, -0.36, figure.dpi_scale_trans)  # inches: clear of the axis labels
    rows = 0
    for axes in panels:
        place = axes.transAxes + below
        legend = axes.legend(loc="upper left", bbox_to_anchor=(0, 0), bbox_transform=place, borderpad=0)
        legend.set_in_layout(False)
        rows = max(rows, len(legend.get_texts()))
    bottom = (0.04 + 0.125 * rows) / figure.get_figheight()
    figure.set_layout_engine("constrained", rect=(0, bottom, 1, 1 - bottom))
