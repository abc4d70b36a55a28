"""What of a study stands in its record's content, and beside it of every sample."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from sdaccel.configuring import plain
from sdaccel.metrics.aggregate import Scores
from sdaccel.metrics.paired import paired_psnr
from sdaccel.records.names import random_weights
from sdaccel.registry import name_at, name_of
from sdaccel.samples import canonical, digest
from sdaccel.studies.arms import Arm, Price
from sdaccel.studies.checks.base import Verdict, failures, word
from sdaccel.studies.compose import Plan
from sdaccel.studies.diagnostics import diagnostics
from sdaccel.studies.results import Result
from sdaccel.studies.schema import Study

NOT_CONTENT = ("output", "logger", "objective", "trainer", "generator", "backend", "strategy", "metrics", "experimental")
"""Top-level options that do not decide a study's content, or that its arms hold in resolved form."""
OF_SAMPLE = ("index", "image", "arrays", "stats")
"""What is repeated of every sample, arrays and stats where it has any; its condition stands in the configuration."""
PER_STEP = ("anchor_error", "forecast_error", "reuse_error", "reference_error")
"""Kept arrays that are small enough to stand in the record."""


def study_config(plan: Plan) -> dict[str, Any]:
    """The study's configuration without paths, loggers or processes."""
    cfg: dict[str, Any] = plain(plan.cfg)
    kept = {key: value for key, value in cfg.items() if key not in NOT_CONTENT}
    kept["data"] = {"conditions": plan.conditions, "batch_size": cfg["data"]["batch_size"]}
    later = {
        "truth": plan.cfg.study.truth,
        "recommend": plan.cfg.study.recommend.arms,
    }  # without them records keep their hashes
    unsaid = [key for key, value in later.items() if not value]
    kept["study"] = {key: value for key, value in cfg["study"].items() if key not in unsaid}
    if identity := plan.metrics.identity():
        kept["metrics"] = {"name": name_at(cfg["metrics"]["_target_"])} | identity
    kept["arms"] = {arm.name: arm.config | arm.identities() for arm in plan.arms}
    return kept


def run_id(plan: Plan) -> str:
    """Name of the run's folder: the same for every machine and every attempt."""
    return f"{readable(plan)}-{digest(canonical(study_config(plan)))[:12]}"


def readable(plan: Plan) -> str:
    """The study's name; of a run without a study what it runs."""
    study = plan.cfg.study
    if study.name != Study().name or study.arms:
        return str(study.name)
    parts = [name_of(part) for arm in plan.arms[-1:] for part in (arm.generator, arm.backend, arm.strategy)]
    return "-".join(part for part in parts if part != "dense")


def sample_key(arm_config: dict[str, Any], *, plan: Plan, keep: list[str], code: str, numerics: dict[str, Any]) -> str:
    """Name of an arm's samples: equal arms of any study share them, changed code never does."""
    cfg = plan.cfg
    deciding = [arm_config, keep, cfg.seed, cfg.data.batch_size, code, numerics]
    return digest(canonical(deciding))[:20]


def content(
    plan: Plan,
    results: Sequence[Result],
    verdicts: Sequence[Verdict],
    each: dict[str, Any],
    *,
    done: Callable[[str], None] = lambda name: None,
) -> dict[str, Any]:
    """`each` is what stands beside the record, as `of_samples` gives it; `done` is told of every arm."""
    arms = [result.arm for result in results]
    by_name = {result.arm.name: result for result in results}
    described = {}
    for name, result in by_name.items():
        baseline = result.arm.baseline(plan.cfg.study.baseline, arms)
        whole = sum(_price(by_name[baseline.name if baseline else name]).generator.macs)
        described[name] = _arm_content(result) | {
            "mac_ceiling": whole / result.macs if whole and result.macs else None,
            "paired": _paired(by_name[baseline.name], result) if baseline else None,
            **_metrics(result.metrics),
        }
        done(name)
    return {
        "config": study_config(plan),
        "arms": described,
        "samples": digest(canonical(each)),
        "checks": [asdict(verdict) for verdict in verdicts],
        "failures": failures(verdicts, arms),
        "verdict": word(verdicts, arms),
    }


def of_samples(results: Sequence[Result]) -> dict[str, Any]:
    """By arm: hashes and stats of every sample, and its value of every metric that has such."""
    return {
        result.arm.name: {
            "samples": [{k: entry[k] for k in OF_SAMPLE if entry.get(k) not in ({}, None)} for entry in result.entries()],
            "values": result.metrics.values,
        }
        for result in results
    }


def _arm_content(result: Result) -> dict[str, Any]:
    arm = result.arm
    kinds = result.first()["kinds"]
    return {
        "template": arm.template,
        "point": arm.point,
        "control": {"mutant": arm.mutant, "stands_for": arm.stands_for, "fails": arm.fails} if arm.mutant else None,
        "kinds": {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)},
        "macs": result.macs,
        "facts": facts(arm, _price(result)),
        "per_step": {name: _worst(result.arrays(name)) for name in PER_STEP if name in result.first()["arrays"]},
        **({"experimental": True} if arm.experimental else {}),
        **diagnostics(result),
    }


def _price(result: Result) -> Price:
    assert result.price is not None, "arms are priced once they have run"
    return result.price


def has_random_weights(arm: Arm) -> bool:
    """Of any of its models."""
    identities = arm.identities()
    known = {"generator": identities["identity"], **identities.get("beside", {})}
    return any(random_weights(vars(model), known[name]) for name, model in arm.configs.items())


def facts(arm: Arm, price: Price) -> dict[str, Any]:
    """What reports need to know of an arm and could not tell from its options once code has changed."""
    models, costs = arm.configs, {"generator": price.generator, **price.beside}
    return {
        "exact": arm.strategy.declares.exact,
        "random_weights": has_random_weights(arm),
        "models": {
            name: {
                "depth": getattr(model, "depth", None),
                "scales": list(getattr(model, "scales", ())),
                "weight_bytes": costs[name].weight_bytes,
                "shared_bytes": costs[name].shared_bytes,
                "decode_macs": costs[name].decode_macs,
            }
            for name, model in models.items()
        },
    }


def _metrics(measured: Scores) -> dict[str, Any]:
    """Nothing where nothing was measured."""
    return {"metrics": {n: a.content() for n, a in measured.aggregates.items()}} if measured.aggregates else {}


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
