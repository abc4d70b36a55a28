"""What a finished study shows: the verdicts on the screen, figures beside the record, a mirror to W&B when asked for."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sdaccel.reporting.cells import Range, shown
from sdaccel.reporting.quality import quality
from sdaccel.reporting.tables import summary
from sdaccel.reporting.winners import winners
from sdaccel.samples import Samples
from sdaccel.studies.compose import Plan

ON_SCREEN = ("judge.class", "judge.mean", "fid", "kid", "clip_score", "clip_top1", "psnr")


def finish(record: dict[str, Any], plan: Plan, folder: Path, console: Console) -> None:
    show(record, console)
    if plan.cfg.study.figures:
        from sdaccel.reporting.figures import draw

        def find(arm: str, sample: dict[str, Any]) -> Path:
            return Samples(folder.parent / "samples" / record["samples"][arm]).image(sample["index"])

        console.print(f"figures {', '.join(str(path) for path in draw(record, folder, find=find))}")
    if plan.cfg.logger.wandb:
        import wandb

        from sdaccel.studies.wandb_mirror import mirror

        logger = plan.cfg.logger
        try:
            mirror(record, samples=folder.parent / "samples", folder=folder, project=logger.project, offline=logger.offline)
        except wandb.Error as error:
            console.print(f"W&B mirror failed ({str(error).splitlines()[0]}); the record is on disk, run again to mirror it.")
    console.print(f"record {folder / 'record.json'} · content {record['content_hash'][:12]}")


def show(record: dict[str, Any], console: Console) -> None:
    """One row per check and role: the worst arm of those it looked at."""
    content = record["content"]
    if content["checks"]:
        table = Table(title=content["config"]["study"]["question"] or record["id"], title_justify="left")
        for column in ("check", "arms", "worst", "bound", "verdict"):
            table.add_column(column, overflow="fold")
        for row in summary_rows(content):
            table.add_row(*row)
        console.print(table)
    for reason in content["failures"]:
        console.print(f"FAILED: {reason}")
    if record["timing"]:
        for name, arm in record["timing"]["arms"].items():
            speedup = arm["speedup"]
            beside = f", {speedup['p50']:.2f}x [{speedup['p10']:.2f}, {speedup['p90']:.2f}]" if speedup else ""
            ceiling = content["arms"][name]["mac_ceiling"]
            limit = f" (MAC ceiling {ceiling:.2f}x)" if ceiling else ""
            memory = f", peak {arm['peak_bytes'] / 2**20:,.0f} MiB beside the weights" if arm["peak_bytes"] else ""
            console.print(f"{name}: {arm['seconds']['p50']:.3f} s per batch{beside} {limit}{memory}")
    show_quality(record, console)
    for name, arm in content["arms"].items():
        if (paired := arm["paired"]) and paired["against"] != name and paired["psnr"] is not None:
            same = f", {paired['identical']} of {paired['n']} identical" if paired["identical"] else ""
            console.print(f"{name}: PSNR {paired['psnr']:.1f} dB against {paired['against']}{same}")
    console.print(f"verdict: {content['verdict'].upper()}")


def show_quality(record: dict[str, Any], console: Console) -> None:
    """The metrics one looks at first and who wins at which cost, without intervals, which the report's tables hold."""
    for found in (quality(record, shown=ON_SCREEN), winners(record)):
        if not found.rows:
            continue
        table = Table(title=found.name, title_justify="left")
        for name, number in zip(found.columns, found.numeric, strict=True):
            table.add_column(name, justify="right" if number else "left", overflow="fold")
        for row in found.rows:
            table.add_row(*(shown(cell.estimate if isinstance(cell, Range) else cell, missing=found.missing) for cell in row))
        console.print(table)


def summary_rows(content: dict[str, Any]) -> list[tuple[str, ...]]:
    """Honest arms grouped by check, then each control at the check that must fail it, as text."""
    table = summary({"content": content})
    return [tuple(shown(cell, missing=table.missing) for cell in row) for row in table.rows]
