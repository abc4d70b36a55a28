"""Records: content that is compared and resumed, timing that is measured anew, provenance that says where both come from.

    {"id", "content_hash", "content": {...}, "timing": {...} | null, "provenance": {...}, "samples": {arm: folder}}

`content_hash` covers every per-sample value and verdict. `id` is the study's name, a hash of its configuration and the
beginning of the content hash: one study run on two kinds of machine makes two records.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from sdaccel.errors import BadInput
from sdaccel.metrics.aggregate import Scores
from sdaccel.metrics.paired import paired_psnr
from sdaccel.samples import atomic_write, canonical, digest
from sdaccel.studies.checks import Result, Verdict, failures
from sdaccel.studies.compose import Plan
from sdaccel.studies.diagnostics import diagnostics

NOT_CONTENT = ("output", "logger", "trainer", "generator", "backend", "strategy", "metrics", "experimental")
"""Top-level options that do not decide a study's content, or that its arms hold in resolved form."""
OF_SAMPLE = ("index", "image", "arrays", "stats")
"""What the record repeats of every sample, arrays and stats where it has any; its condition stands in the configuration."""
PER_STEP = ("anchor_error", "forecast_error", "reuse_error", "reference_error")
"""Kept arrays that are small enough to stand in the record."""


def study_config(plan: Plan) -> dict[str, Any]:
    """The study's configuration without paths, loggers or processes."""
    cfg: dict[str, Any] = OmegaConf.to_container(plan.cfg, resolve=True)  # type: ignore[assignment]
    kept = {key: value for key, value in cfg.items() if key not in NOT_CONTENT}
    kept["data"] = {"conditions": plan.conditions, "batch_size": cfg["data"]["batch_size"]}
    if identity := plan.metrics.identity():
        kept["metrics"] = {"_target_": cfg["metrics"]["_target_"]} | identity
    kept["arms"] = {arm.name: arm.config | arm.identities() for arm in plan.arms}
    return kept


def run_id(plan: Plan) -> str:
    """Name of the run's folder: the same for every machine and every attempt."""
    return f"{plan.cfg.study.name}-{digest(canonical(study_config(plan)))[:12]}"


def sample_key(arm_config: dict[str, Any], *, plan: Plan, keep: list[str], code: str, numerics: dict[str, Any]) -> str:
    """Name of an arm's samples: equal arms of any study share them, changed code never does."""
    cfg = plan.cfg
    deciding = [arm_config, keep, cfg.seed, cfg.data.batch_size, code, numerics]
    return digest(canonical(deciding))[:20]


def content(plan: Plan, results: Sequence[Result], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    arms = [result.arm for result in results]
    reasons = failures(verdicts, arms)
    by_name = {result.arm.name: result for result in results}
    described = {}
    for name, result in by_name.items():
        baseline = result.arm.baseline(plan.cfg.study.baseline, arms)
        whole = by_name[baseline.name if baseline else name].macs_in_full
        described[name] = _arm_content(result) | {
            "mac_ceiling": whole / result.macs if whole and result.macs else None,
            "paired": _paired(by_name[baseline.name], result) if baseline else None,
            **_metrics(result.metrics),
        }
    return {
        "config": study_config(plan),
        "arms": described,
        "checks": [verdict.content() for verdict in verdicts],
        "failures": reasons,
        "verdict": "fail" if reasons else "open" if any(v.passed is None for v in verdicts) else "pass",
    }


def _arm_content(result: Result) -> dict[str, Any]:
    arm = result.arm
    kinds = result.first()["kinds"]
    return {
        "template": arm.template,
        "point": arm.point,
        "mode": arm.mode,
        "control": {"for": arm.stands_for, "fails": arm.fails, "mutant": arm.mutant} if arm.mutant else None,
        "kinds": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        "macs": result.macs,
        "samples": [{key: entry[key] for key in OF_SAMPLE if entry.get(key) not in ({}, None)} for entry in result.entries()],
        "per_step": {name: _worst(result.arrays(name)) for name in PER_STEP if name in result.first()["arrays"]},
        **({"experimental": True} if arm.experimental else {}),
        **diagnostics(result),
    }


def _metrics(measured: Scores) -> dict[str, Any]:
    """Nothing where nothing was measured."""
    if not measured.aggregates:
        return {}
    return {"metrics": {n: a.content() for n, a in measured.aggregates.items()}, "values": measured.values}


def _paired(baseline: Result, result: Result) -> dict[str, Any] | None:
    """Pixels against the baseline arm's on the same noise; identical images are counted, not averaged."""
    if not result.arm.shares_noise(baseline.arm):
        return None
    return {"against": baseline.arm.name} | paired_psnr(baseline.images(), result.images())


def _worst(rows: list[np.ndarray]) -> list[float | None]:
    """Largest value over samples at every step, six digits; None where nothing finite was measured."""
    columns = np.stack(rows)
    empty = np.isnan(columns).all(0)
    worst = np.where(empty, np.nan, np.nanmax(np.where(np.isnan(columns), -np.inf, columns), 0))
    return [float(f"{v:.6g}") if math.isfinite(v) else None for v in worst.tolist()]


def build(
    plan: Plan, results: Sequence[Result], verdicts: Sequence[Verdict], *, timing: dict[str, Any] | None, source: dict[str, Any]
) -> dict[str, Any]:
    body = content(plan, results, verdicts)
    found = digest(canonical(body))
    return {
        "id": f"{run_id(plan)}-{found[:6]}",
        "content_hash": found,
        "content": body,
        "timing": timing,
        "provenance": source,
        "samples": {result.arm.name: result.samples.folder.name for result in results},
    }


def save(record: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (laid_out(record) + "\n").encode())


def laid_out(value: Any, depth: int = 0) -> str:
    """JSON for people and for git: a key or list entry per line, numbers in a row, and each sample on one line."""
    pad = "\n" + " " * (depth + 1)
    if isinstance(value, dict) and value:
        entries = [f"{_compact(key)}: {laid_out(entry, depth + 1)}" for key, entry in value.items()]
        return "{" + ",".join(pad + entry for entry in entries) + pad[:-1] + "}"
    if isinstance(value, list) and any(isinstance(entry, dict | list | str) for entry in value):
        return "[" + ",".join(pad + _compact(entry) for entry in value) + pad[:-1] + "]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def load(path: Path) -> dict[str, Any]:
    """A record whose content still has the hash it was written with."""
    try:
        record = json.loads(path.read_bytes())
        found = digest(canonical(record["content"]))
    except FileNotFoundError:
        raise BadInput(f"record {path} does not exist; run the study first, or give another id.") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"record {path} is not a record ({error}); run its study again.") from None
    if found != record["content_hash"]:
        raise BadInput(f"record {path} was changed after it was written (content hash {found[:12]}); run its study again.")
    return record
