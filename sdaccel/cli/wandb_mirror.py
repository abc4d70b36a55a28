"""Mirror a finished record to Weights & Biases, one run per record under its own id. Every number is on disk already."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from sdaccel.records.view import Record
from sdaccel.reporting.cells import shown
from sdaccel.reporting.tables import summary
from sdaccel.samples import Samples

IMAGES = 16
"""Samples that are shown."""
GAP = 2


def mirror(record: Record, *, samples: Path, folder: Path, project: str, offline: bool) -> None:
    """Config, verdicts, speed-ups and images side by side; offline unless told otherwise."""
    import wandb

    run = wandb.init(
        project=project,
        id=record.id,
        name=record.id,
        job_type=record.study.name,
        config=dict(record.content["config"]) | {"provenance": asdict(record.provenance)},
        dir=folder,
        mode="offline" if offline else "online",
        resume="allow",
        settings=wandb.Settings(console="off", silent=True),
    )
    failed = True
    try:
        run.log(scalars(record))
        table = summary(record)
        rows = [[shown(cell, missing=table.missing) for cell in row] for row in table.rows]
        verdicts = wandb.Table(columns=list(table.columns), data=rows)
        run.log({"verdicts": verdicts, "samples": _strips(wandb, record, samples)})
        run.log({f"figure/{path.stem}": wandb.Image(str(path)) for path in sorted(folder.glob("*.png"))})
        failed = False
    finally:
        run.finish(exit_code=int(failed or record.verdict == "fail"))


def scalars(record: Record) -> dict[str, float]:
    """Every number of the record that a chart may want, by a flat name; `passed` only where all is decided."""
    out = {"passed": float(record.verdict == "pass")} if record.verdict in ("pass", "fail") else {}
    for check in record.checks:
        if check.measured is not None:
            out[f"check/{check.check}/{check.arm}"] = check.measured
    for name, arm in record.arms.items():
        if arm.paired:
            found = {"identical": arm.paired.identical, "psnr": arm.paired.psnr, "n": arm.paired.n}
            out |= {f"paired/{name}/{key}": value for key, value in found.items() if value is not None}
        for metric, value in arm.metrics.items():
            ends = {"estimate": value.estimate, "low": value.low, "high": value.high}
            out |= {f"{metric}/{name}/{end}": number for end, number in ends.items() if number is not None}
    for name, timed in record.timing.arms.items():
        out[f"seconds/{name}"] = timed.seconds.p50
        if timed.speedup:
            out[f"speedup/{name}"] = timed.speedup.estimate
            if ceiling := record.arms[name].mac_ceiling:
                out[f"speedup_ceiling_decode_out/{name}"] = ceiling
    return out


def _strips(wandb: Any, record: Record, samples: Path) -> list[Any]:
    """One picture per sample: the distinct images of its arms from left to right, named in the caption."""
    out = []
    for i in range(min(IMAGES, len(record.conditions))):
        groups: dict[str, list[str]] = {}
        for name, arm in record.arms.items():
            groups.setdefault(arm.samples[i].image, []).append(name)
        images = [Image.open(Samples(samples / record.folders[names[0]]).image(i)) for names in groups.values()]
        titles = [names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} equal" for names in groups.values()]
        caption = f"{i} {record.conditions[i]}: {' | '.join(titles)}"
        out.append(wandb.Image(side_by_side(images), caption=caption))
    return out


def side_by_side(images: Sequence[Image.Image]) -> Image.Image:
    """All images in a row, two white pixels apart."""
    strip = Image.new("RGB", (sum(image.width + GAP for image in images) - GAP, max(image.height for image in images)), "white")
    left = 0
    for image in images:
        strip.paste(image, (left, 0))
        left += image.width + GAP
    return strip
