"""Records of the first format read as those of today: in the view only, their bytes, hashes, ids and names of arms stay.

They hold Python paths, the strategy's class in lower case as `mode`, samples and values in their arms, and no facts.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sdaccel.measure.speedup import speedup
from sdaccel.records.names import named, random_weights

CLASSES = {
    "Var": "var",
    "Reconstruction": "var_reconstruction",
    "Flux": "flux",
    "OfficialFlux": "flux_official",
    "FluxReconstruction": "flux_reconstruction",
    "World": "world",
    "Dense": "dense",
    "ColumnSparse": "column_sparse",
    "SparseAttention": "attention",
    "SparseMlp": "mlp",
    "Patchify": "patchify",
    "Original": "original",
    "ScaleSkipping": "scale_skipping",
    "Taylor": "taylor",
    "TaylorScaled": "taylor_scaled",
    "DampedTaylor": "damped_taylor",
    "HiCache": "hicache",
    "HiCacheAnalytic": "hicache_analytic",
    "Newton": "newton",
    "Fora": "fora",
    "Delta": "delta",
    "Collect": "collect",
    "Diffusers": "diffusers",
    "DiffusersTaylorSeer": "diffusers_taylorseer",
    "Handover": "handover",
    "Profile": "speculative_profile",
    "Coupled": "speculative_coupled",
    "Rejection": "speculative_rejection",
    "Divergence": "speculative_kl",
    "Neighbourhood": "speculative_neighbourhood",
    "TopK": "speculative_topk",
    "Top1": "speculative_top1",
    "CoDe": "code",
    "VarEngine": "var_engine",
    "Kernels": "kernels",
    "SpeculationCosts": "speculation",
}
"""Class as such records name it -> its registered name."""
FLOORLESS = ("coupled, gamma=2", "draft, not decoded")
"""Arms of a benchmark beside whose times such records put the floor of other work, the target's."""
LOST = "raw rounds not kept"
EXACT = ("original", "collect", "diffusers", "speculative_profile", "speculative_coupled", "speculative_rejection")
DECODE_MACS: dict[tuple[Any, Any], float] = {(160, 256): 196856774656.0}
"""By the tokenizer's width and the picture's: the published one's."""


def name_of(path: str) -> str:
    """Of a class of ours; of another package's the class itself, all that such a record says."""
    own = path.rpartition(".")[2]
    return CLASSES.get(own, own)


def content_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record's content in today's format."""
    content: dict[str, Any] = record["content"]
    if "format" in content:
        return content
    config = named(content["config"], name_of)
    configs = config.get("arms", {})
    arms = {name: _arm(arm, configs[name]) for name, arm in content["arms"].items()}
    verdict = content["verdict"] if content["checks"] else "no claim"
    own = content | {"config": config, "arms": arms, "verdict": verdict}
    if "generator" in config:  # of a benchmark
        own["random_weights"] = random_weights(config["generator"], config["generator"]["identity"])
    return own


def timing_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record's timing in today's format, where a speed-up is a ratio of medians."""
    timing: dict[str, Any] = record["timing"] or {}
    arms, cases = timing.get("arms") or {}, timing.get("cases") or {}
    own = {name: arm | {"speedup": _speedup(arm, arms.get(arm["baseline"]))} for name, arm in arms.items()}
    return timing | {"arms": own, "cases": {name: _case(case) for name, case in cases.items()}}


def _case(case: Mapping[str, Any]) -> dict[str, Any]:
    """A case had one floor for all its arms."""
    first, floor = next(iter(case["arms"].values())), case.get("floor_seconds")
    arms = {name: arm | {"speedup": _speedup(arm, first)} for name, arm in case["arms"].items()}
    if floor:
        arms = {name: arm | {"floor_seconds": floor} for name, arm in arms.items()}
        arms |= {name: arms[name] | {"floor_seconds": None, "of_floor": None} for name in FLOORLESS if name in arms}
    return {**case, "arms": arms}


def _speedup(arm: Mapping[str, Any], baseline: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """As it is kept; where quantiles of paired rounds are, by the rounds, and without these by the medians alone."""
    kept: dict[str, Any] | None = arm["speedup"]
    if kept is None or baseline is None or "estimate" in kept:
        return kept
    if "rounds" in arm:
        return asdict(speedup(baseline["rounds"], arm["rounds"]))
    note = "" if arm is baseline else LOST
    return {"estimate": baseline["seconds"]["p50"] / arm["seconds"]["p50"], "n": arm["seconds"]["n"], "note": note}


def each_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What belongs to single samples, by arm."""
    arms = record["content"]["arms"].items()
    return {name: {"samples": arm["samples"], "values": arm.get("values", {})} for name, arm in arms}


def current(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of an arm, or values of its options, as they are named today: `mode` is `strategy`."""
    return {"strategy" if key == "mode" else key: value for key, value in options.items()}


def _arm(arm: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    gone, control = ("mode", "samples", "values"), arm["control"]
    beside = {name: (config["strategy"][name], identity) for name, identity in config.get("beside", {}).items()}
    models = {"generator": (config["generator"], config["identity"]), **beside}
    facts = {
        "exact": config["strategy"]["name"] in EXACT,
        "random_weights": any(random_weights(*model) for model in models.values()),
        "models": {name: _model(*model) for name, model in models.items()},
    }
    control = control and {"mutant": control["mutant"], "stands_for": control["for"], "fails": control["fails"]}
    own = {"point": current(arm["point"]), "facts": facts, "control": control}
    return {key: value for key, value in arm.items() if key not in gone} | own


def _model(options: Mapping[str, Any], identity: Mapping[str, Any]) -> dict[str, Any]:
    known = {
        "depth": options.get("depth"),
        "scales": identity.get("patch_nums"),
        "decode_macs": DECODE_MACS.get((options.get("ch"), options.get("image_size"))),
    }
    return {key: value for key, value in known.items() if value is not None}
