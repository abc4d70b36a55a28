"""Mirror a finished record to Weights & Biases, one run per record under its own id. Every number is on disk already."""

from pathlib import Path
from typing import Any

from sdaccel.samples import Samples
from sdaccel.studies.outcome import summary_rows

IMAGES = 16
"""Samples per arm that are shown."""


def mirror(record: dict[str, Any], *, samples: Path, folder: Path, project: str, offline: bool) -> None:
    """Config, verdicts, speed-ups and images side by side; offline unless told otherwise."""
    import wandb

    content = record["content"]
    run = wandb.init(
        project=project,
        id=f"{record['id']}-{record['content_hash'][:8]}",
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
        run.log({"verdicts": verdicts, "images": _images(wandb, content, record["samples"], samples)})
        run.log({f"figure/{path.stem}": wandb.Image(str(path)) for path in sorted(folder.glob("*.png"))})
        failed = False
    finally:
        run.finish(exit_code=int(failed or content["verdict"] != "pass"))


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
    for name, arm in (record["timing"] or {"arms": {}})["arms"].items():
        out[f"seconds/{name}"] = arm["seconds"]["p50"]
        if arm["speedup"]:
            out[f"speedup/{name}"] = arm["speedup"]["p50"]
            out[f"speedup_ceiling/{name}"] = content["arms"][name]["mac_ceiling"]
    return out


def _images(wandb: Any, content: dict[str, Any], folders: dict[str, str], samples: Path) -> Any:
    """A row per sample, a column per arm."""
    names = list(content["arms"])
    first = content["arms"][names[0]]["samples"][:IMAGES]
    rows = [
        [s["index"], s["condition"], *(wandb.Image(str(Samples(samples / folders[n]).image(s["index"]))) for n in names)]
        for s in first
    ]
    return wandb.Table(columns=["sample", "condition", *names], data=rows)
