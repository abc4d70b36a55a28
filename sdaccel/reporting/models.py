"""The small models that ship: what each reached on the test split, what it weighs and cost, and its training curve."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdaccel.errors import BadInput
from sdaccel.reporting import style
from sdaccel.reporting.cells import Cell, Table, digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ABOUT = ("model", "seconds", "device", "bytes")
"""Entries of result.json that are no figures of quality."""
KEYS = ("accuracy", "beats_near", "psnr")
"""What a curve shows beside the loss: the first of these it has, or else the first figure it has."""


@dataclass(frozen=True)
class Model:
    name: str
    result: dict[str, Any]
    curve: list[dict[str, float]]
    """Step, seconds, loss and other figures, in order."""

    @property
    def key(self) -> str | None:
        known = [name for name in self.curve[0] if name not in ("step", "seconds", "loss")]
        return next((name for name in KEYS if name in known), known[0] if known else None)


def read(reports: Path) -> list[Model]:
    """Every trained model by name. One whose files are damaged is refused, not skipped."""
    found = []
    for path in sorted(reports.glob("zoo/*/result.json")):
        try:
            result = json.loads(path.read_text())
            curve = [json.loads(line) for line in path.with_name("curve.jsonl").read_text().splitlines()]
            if missing := set(ABOUT) - result.keys():
                raise ValueError(f"{min(missing)} is missing")
            if not curve or not all({"step", "seconds", "loss"} <= point.keys() for point in curve):
                raise ValueError("the curve lacks step, seconds or loss")
        except (ValueError, OSError) as error:
            raise BadInput(f"{path.parent} is no trained model ({error}); restore it from git or train it again.") from None
        found.append(Model(path.parent.name, result, curve))
    return found


def models(found: list[Model]) -> Table:
    """One row per model."""
    columns = ("model", "reaches on test", "file (KiB)", "training (s)", "steps", "device")
    return Table(columns, [_row(model) for model in found])


def _row(model: Model) -> tuple[Cell, ...]:
    about, steps = model.result, int(model.curve[-1]["step"]) + 1
    return model.name, reached(about), round(about["bytes"] / 1024), round(about["seconds"]), steps, about["device"]


def reached(result: dict[str, Any]) -> str:
    """Its figures; parts of a whole that is there are left out, and parts that all agree are said once."""
    texts, groups = [], dict[str, dict[str, str]]()
    for name, value in result.items():
        if name in ABOUT or _wholes(name) & result.keys():
            continue
        group, slash, part = name.partition("/")
        if slash:
            groups.setdefault(group, {})[part] = digits(value)
        else:
            texts.append(f"{name} {digits(value)}")
    for group, shown in groups.items():
        alike = len(set(shown.values())) == 1 and len(shown) > 2
        each = ", ".join(f"{part} {value}" for part, value in shown.items())
        texts.append(f"{group} of all {len(shown)} attributes {min(shown.values())}" if alike else f"{group}: {each}")
    return "; ".join(texts).replace("_", " ")


def _wholes(name: str) -> set[str]:
    """a and a/b of a/b/c."""
    return {name[:i] for i, letter in enumerate(name) if letter == "/"}


def curve(model: Model) -> "Figure":
    """Loss and key figure over steps; what the run took stands in the title."""
    figure = style.blank(style.COLUMN * 1.12, 1.6)
    panels = figure.subplots(1, 2 if model.key else 1, squeeze=False)[0]
    steps = [point["step"] / 1000 for point in model.curve]
    for axes, name, colour in zip(panels, ("loss", model.key or ""), (style.BLUE, style.VERMILLION), strict=False):
        values = [point.get(name, float("nan")) for point in model.curve]
        axes.plot(steps, values, color=colour, linewidth=0.9)
        axes.set_title(name.replace("_", " "))
        axes.set_xlabel("steps (thousands)")
        axes.set_xlim(0, steps[-1] or None)
        if name == "loss" and min(values) > 0 and max(values) > 20 * min(values):
            axes.set_yscale("log")
    figure.suptitle(f"{model.name}: {model.result['seconds']:,.0f} s on {model.result['device']}", x=0.01, ha="left")
    return figure


def draw(found: list[Model], reports: Path) -> list[Path]:
    """curve.pdf and curve.png beside every model's curve.jsonl."""
    paths = []
    with style.styled():
        for model in found:
            paths += style.save(curve(model), reports / "zoo" / model.name, "curve")
    return paths
