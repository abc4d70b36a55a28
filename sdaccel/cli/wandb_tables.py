"""What of a finished record Weights & Biases shows: every number by name, a table of arms, one of pictures, figures, files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sdaccel.metrics import metric
from sdaccel.records.view import Arm, Record
from sdaccel.reporting.cells import shown
from sdaccel.reporting.tables import summary
from sdaccel.samples import Samples

ROWS = 16
"""Samples that are shown."""
PICTURES = 256
"""Of all arms together: with many arms fewer samples."""
ENDS = ("estimate", "low", "high")


def everything(wandb: Any, record: Record, *, samples: Path, folder: Path) -> dict[str, Any]:
    """The last row of the run."""
    out: dict[str, Any] = {"arms": _arms(wandb, record, samples), "pictures": _pictures(wandb, record, samples)}
    table = summary(record)
    if table.rows:
        cells = [[shown(cell, missing=table.missing) for cell in row] for row in table.rows]
        out["verdicts"] = wandb.Table(columns=list(table.columns), data=cells)
    return out | scalars(record) | {f"figure/{path.stem}": wandb.Image(str(path)) for path in sorted(folder.glob("*.png"))}


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
        for of, value in arm.metrics.items():
            ends = {end: getattr(value, end) for end in ENDS}
            out |= {f"{of}/{name}/{end}": number for end, number in ends.items() if number is not None}
        if arm.mac_ceiling:
            out[f"speedup_ceiling_decode_out/{name}"] = arm.mac_ceiling
    for name, timed in record.timing.arms.items():
        out[f"seconds/{name}"] = timed.seconds.p50
        if timed.speedup:
            out[f"speedup/{name}"] = timed.speedup.estimate
    return out


def artifact(wandb: Any, record: Record, folder: Path) -> Any:
    """All files of the run's folder, under the record's name: the record, its samples' values, figures, the page."""
    made = wandb.Artifact(record.id, type="record", metadata={"content_hash": record.content_hash, "verdict": record.verdict})
    for path in _files(folder):
        made.add_file(str(path), name=str(path.relative_to(folder)), policy="immutable")
    return made


def _files(folder: Path) -> Iterator[Path]:
    """Without W&B's own."""
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and parts[0] != "wandb" and not path.name.startswith("."):
            yield path


def _arms(wandb: Any, record: Record, samples: Path) -> Any:
    """A row per arm: what it is, its first picture, work and time, then every metric with the ends of its interval."""
    metrics = [name for name in metric.METRICS if any(name in arm.metrics for arm in record.arms.values())]
    metrics += list(dict.fromkeys(name for arm in record.arms.values() for name in arm.metrics if name not in metrics))
    columns = ["arm", "generator", "backend", "strategy", "picture", "MACs", "MAC ceiling", "s", "p10", "p90"]
    columns += [f"speed-up{end}" for end in ("", " low", " high")]
    columns += [f"{name}{end}" for name in metrics for end in ("", " low", " high")]
    rows = [_row(wandb, record, arm, metrics, _image(wandb, record, samples, arm.name, 0)) for arm in record.arms.values()]
    return wandb.Table(columns=columns, data=rows)


def _row(wandb: Any, record: Record, arm: Arm, metrics: list[str], picture: Any) -> list[Any]:
    timed = record.timing.arms.get(arm.name)
    seconds = [timed.seconds.p50, timed.seconds.p10, timed.seconds.p90] if timed else [None] * 3
    speedup = timed.speedup if timed else None
    ends = [getattr(value, end, None) for value in (speedup, *map(arm.metrics.get, metrics)) for end in ENDS]
    what = [arm.name, arm.generator.name, arm.backend.name, arm.strategy.name]
    return [*what, picture, float(arm.macs), arm.mac_ceiling, *seconds, *ends]


def _pictures(wandb: Any, record: Record, samples: Path) -> Any:
    """A row per sample: the same noise in every arm, side by side."""
    rows = range(min(ROWS, len(record.conditions), max(1, PICTURES // len(record.arms))))
    data = [[i, str(record.conditions[i]), *(_image(wandb, record, samples, name, i) for name in record.arms)] for i in rows]
    return wandb.Table(columns=["sample", "condition", *record.arms], data=data)


def _image(wandb: Any, record: Record, samples: Path, arm: str, index: int) -> Any:
    return wandb.Image(str(Samples(samples / record.folders[arm]).image(index)))
