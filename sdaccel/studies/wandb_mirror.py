"""Mirror a finished record to Weights & Biases, one run per record under its own id. Every number is on disk already."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sdaccel.samples import Samples
from sdaccel.studies.outcome import summary_rows

IMAGES = 16
"""Samples that are shown."""
GAP = 2


def mirror(record: dict[str, Any], *, samples: Path, folder: Path, project: str, offline: bool) -> None:
    """Config, verdicts, speed-ups and images side by side; offline unless told otherwise."""
    import wandb

    content = record["content"]
    run = wandb.init(
        project=project,
        id=record["id"],
        name=record["id"],
        job_type=content["config"]["study"]["name"],
        config=content["config"] | {"provenance": record["provenance"]},
        dir=folder,
        mode="offline" if offline else "online",
        resume="allow",
        settings=wandb.Settings(console="off", silent=True),
    )
    failed = True
    try:
        run.log(scalars(record))
        verdicts = wandb.Table(
            columns=["check", "arms", "worst", "bound", "verdict"], data=[list(r) for r in summary_rows(content)]
        )
        run.log({"verdicts": verdicts, "samples": _strips(wandb, content, record["samples"], samples)})
        run.log({f"figure/{path.stem}": wandb.Image(str(path)) for path in sorted(folder.glob("*.png"))})
        failed = False
    finally:
        run.finish(exit_code=int(failed or content["verdict"] == "fail"))


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """Every number of the record that a chart may want, by a flat name."""
    content = record["content"]
    out = {"passed": float(content["verdict"] == "pass")}
    for verdict in content["checks"]:
        if verdict["measured"] is not None:
            out[f"check/{verdict['check']}/{verdict['arm']}"] = verdict["measured"]
    for name, arm in content["arms"].items():
        for key, value in (arm["paired"] or {}).items():
            if isinstance(value, int | float):
                out[f"paired/{name}/{key}"] = value
        for key, found in arm.get("metrics", {}).items():
            out |= {f"{key}/{name}/{end}": found[end] for end in ("estimate", "low", "high") if found[end] is not None}
    for name, arm in (record["timing"] or {"arms": {}})["arms"].items():
        out[f"seconds/{name}"] = arm["seconds"]["p50"]
        if arm["speedup"]:
            out[f"speedup/{name}"] = arm["speedup"]["p50"]
            out[f"speedup_ceiling/{name}"] = content["arms"][name]["mac_ceiling"]
    return out


def _strips(wandb: Any, content: dict[str, Any], folders: dict[str, str], samples: Path) -> list[Any]:
    """One picture per sample: the distinct images of its arms from left to right, named in the caption."""
    out, conditions = [], content["config"]["data"]["conditions"]
    for i, first in enumerate(next(iter(content["arms"].values()))["samples"][:IMAGES]):
        groups: dict[str, list[str]] = {}
        for name, arm in content["arms"].items():
            groups.setdefault(arm["samples"][i]["image"], []).append(name)
        images = [Image.open(Samples(samples / folders[names[0]]).image(first["index"])) for names in groups.values()]
        titles = [names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} equal" for names in groups.values()]
        out.append(
            wandb.Image(side_by_side(images), caption=f"{first['index']} {conditions[first['index']]}: {' | '.join(titles)}")
        )
    return out


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """All images in a row, two white pixels apart."""
    strip = Image.new("RGB", (sum(image.width + GAP for image in images) - GAP, max(image.height for image in images)), "white")
    left = 0
    for image in images:
        strip.paste(image, (left, 0))
        left += image.width + GAP
    return strip
