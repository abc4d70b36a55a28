"""`sdaccel zoo model=NAME`: train one model, measure it on the test split, write weights, curve, sheet and result."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from hydra.core.config_store import ConfigStore
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import MISSING

from sdaccel.cli import CONF, told, wants_help
from sdaccel.configuring import composed
from sdaccel.errors import BadInput
from sdaccel.predict.writer import to_uint8
from sdaccel.shipped import FOLDER, restore, ship
from sdaccel.zoo.sheets import Sheet
from sdaccel.zoo.training import Recipe, fit

USAGE = "usage: sdaccel zoo model=NAME [key=value ...]"


@dataclass
class Model:
    name: str = MISSING
    task: Any = MISSING
    """What is trained."""
    ships: str | None = None
    """Name of the weights, if another than the model's: a part that is trained later is put into the file of the whole."""
    recipe: Recipe = field(default_factory=Recipe)


@dataclass
class Zoo:
    model: Model = MISSING
    output: str = "runs/zoo"
    """Checkpoints, curves, results."""
    weights: str = str(FOLDER)
    """Where the trained weights go."""
    device: str = "cuda"
    train: bool = True
    """False: only draw the sheet of the weights that ship."""


def main(argv: Sequence[str], *, conf: Path = CONF) -> int:
    """0: trained and measured; 2: bad input."""
    ConfigStore.instance().store(name="zoo_schema", node=Zoo)
    ConfigStore.instance().store(group="schema/model", name="base", node=Model)
    return told(lambda: _train(argv, conf))


def _train(overrides: Sequence[str], conf: Path) -> int:
    if wants_help(overrides, USAGE, group="model", conf=conf):
        return 0
    cfg = composed("zoo", overrides, conf=conf)
    if cfg.device == "cuda" and not torch.cuda.is_available():
        raise BadInput("device=cuda needs a GPU and this machine shows none; use device=cpu, slowly.")
    if cfg.train and Path(cfg.weights) == FOLDER and CONF.parent == FOLDER.parent:
        raise BadInput(f"weights={cfg.weights} belongs to the installed package; write weights=FOLDER for what is trained.")
    try:
        task, recipe = instantiate(cfg.model.task), instantiate(cfg.model.recipe)
    except InstantiationException as error:
        raise (error.__cause__ or error) from None  # a BadInput of the task's comes wrapped
    if not cfg.train:
        architecture = task.shipped() if hasattr(task, "shipped") else task.net
        task.net = restore(cfg.model.ships or cfg.model.name, architecture, folder=Path(cfg.weights))
    folder, device = Path(cfg.output) / cfg.model.name, torch.device(cfg.device)
    if not cfg.train:
        print(*draw(task, task.net.to(device), name=cfg.model.name, folder=folder, device=device))
        return 0
    net, seconds = fit(task, Recipe(**recipe), folder=folder, device=cfg.device)
    with torch.compiler.set_stance("force_eager"):  # every batch shape of what follows would be compiled anew
        result = _shipped(cfg, task, net.to(device), folder=folder, device=device, seconds=seconds)
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))
    return 0


def _shipped(cfg: Any, task: Any, net: Any, *, folder: Path, device: torch.device, seconds: float) -> dict[str, Any]:
    """Finish, ship, draw and measure what was trained: the result."""
    if hasattr(task, "finish"):
        task.finish(net, device)
    path = ship(cfg.model.ships or cfg.model.name, net, open_clip=getattr(task, "open_clip", None), folder=Path(cfg.weights))
    size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir()))
    draw(task, net, name=cfg.model.name, folder=folder, device=device)
    return {
        "model": cfg.model.name,
        "seconds": round(seconds, 1),
        "device": torch.cuda.get_device_name() if cfg.device == "cuda" else "cpu",
        "bytes": size,
        **task.measure(net, device),
    }


def draw(task: Any, net: Any, *, name: str, folder: Path, device: torch.device) -> list[Path]:
    """sheet.pdf and sheet.png in the folder, if the task makes pictures at all."""
    if not hasattr(task, "sheet"):
        return []
    from sdaccel.reporting import style
    from sdaccel.reporting.sample_sheet import sheet

    with torch.no_grad():
        made: Sheet = task.sheet(net, device)
    rows = [(row, list(to_uint8(images.clamp(0, 1)))) for row, images in made.rows.items()]
    with style.styled():
        return style.save(sheet(rows, made.conditions, title=f"{name}, on test scenes"), folder, "sheet")
