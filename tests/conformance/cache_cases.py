"""Golden cases of the stage cache: maps and presets, interpolation, adaptive thresholds, generations under reuse."""

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdaccel.generators.nextscale.tokens import combine, keep
from sdaccel.strategies.stage_cache.adaptive import AdaptiveThresholds
from sdaccel.strategies.stage_cache.interpolate import MODES, interpolate
from sdaccel.strategies.stage_cache.maps import MAPS, map_of
from sdaccel.strategies.stage_cache.options import Options, never_used, without_predecessor
from sdaccel.strategies.stage_cache.plan import Plan, Table, planned
from sdaccel.strategies.stage_cache.rule import Answers, Measured, Slots
from sdaccel.strategies.stage_cache.statistics import Statistics
from tests.conformance.cases import Case, Line
from tests.conformance.hart_cases import Comparison, Generation, GoldenNoise, draw

FIELDS = (
    "enable_attn_cache",
    "enable_mlp_cache",
    "threshold",
    "interpolation_mode",
    "adaptive_threshold",
    "calibration_samples",
)


def handles(case: Case) -> bool:
    return case.meta.get("kind") in HANDLERS


def run(case: Case) -> list[Line]:
    with torch.no_grad():
        return HANDLERS[case.meta["kind"]](case)


def line(name: str, wrong: bool | float) -> Line:
    return Line(name, float(wrong), 0.0)


def _tables(case: Case) -> list[Line]:
    meta, lines = case.meta, []
    for name, stages in MAPS.items():
        table = meta[name]
        sides = [round(tokens**0.5) for tokens in stages.tokens]
        lines += [
            line(f"{name} tokens", list(stages.tokens) != table["chain_tokens"]),
            line(f"{name} index", {str(k): v for k, v in stages.index.items()} != table["length2iteration"]),
            line(f"{name} columns", stages.columns != table["similarity_columns"]),
            line(f"{name} next", {str(a): b for a, b in itertools.pairwise(sides)} != table["next_patch_size"]),
            line(f"{name} of its sides", map_of(table["chain_sides"]) is not stages),
        ]
        for preset, chains in meta["chain_check"][name].items():
            own = Options(**table["presets"][preset])
            lines.append(line(f"{name} {preset}", _chains(own.skip_stages, own.cache_stages, name) != chains))
    defaults = {key: getattr(Options(), key) for key in meta["config_defaults"]}
    legal = {"skip": list(MAPS["v2"].may_skip), "cache": list(MAPS["v2"].may_cache)}
    lines += [line("defaults", defaults != meta["config_defaults"]), line("legal stages", legal != meta["legal_stages_v2"])]
    return lines + _adaptation(meta)


def _adaptation(meta: dict[str, Any]) -> list[Line]:
    rules, v2 = meta["old_config_adaptation"], MAPS["v2"]
    near = {**rules["v1_to_v2"], **rules["more"]}
    lines = [line("nearest stage", sum(v2.nearest(int(old)) != new for old, new in near.items()))]
    for name, wanted in rules["adapted_presets"].items():
        old = meta["v1"]["presets"][name]
        for key in ("skip_stages", "cache_stages"):
            lines.append(line(f"adapted {name} {key}", v2.adapted(old[key]) != wanted[key]))
        lines.append(
            line(f"adapted {name}", _chains(wanted["skip_stages"], wanted["cache_stages"], "v2") != wanted["check_v2"])
        )
    return lines


def _chains(skip: list[int], cache: list[int], name: str) -> dict[str, list[int]]:
    stages = MAPS[name]
    legal_skip = [tokens for tokens in skip if tokens in stages.may_skip]
    legal_cache = [tokens for tokens in cache if tokens in stages.may_cache]
    broken = without_predecessor(legal_skip, legal_cache, stages)
    return {
        "illegal_skip": [tokens for tokens in skip if tokens not in legal_skip],
        "illegal_cache": [tokens for tokens in cache if tokens not in legal_cache],
        "skip_without_predecessor": broken,
        "cache_never_used": never_used(legal_skip, legal_cache, stages),
        "reusing_stages": [tokens for tokens in legal_skip if tokens not in broken],
    }


def _interpolation(case: Case) -> list[Line]:
    seen, sides = Comparison(case), case.meta["chain"]
    for side, wider in itertools.pairwise(sides):
        x = draw(case.meta["inputs"]["x"]["tag"].split()[0].replace("{h}", str(side)), (2, side * side, 4))
        for mode in MODES:
            seen.add(f"{mode}__{side}to{wider}", interpolate(x, wider, mode))
    return seen.finish()


def _adaptive(case: Case) -> list[Line]:
    seen, config = Comparison(case), case.meta["config"]
    inputs = case.meta["inputs"]["similarities"]
    values = draw(inputs["tag"], inputs["shape"], inputs["dist"]).double()
    own = AdaptiveThresholds(config["depth"], config["threshold"], config["similarity_window"])
    counted, trace = Statistics(), []
    for i, value in enumerate(values.tolist()):
        own.measured(i % config["depth"], "attn" if (i // 3) % 2 == 0 else "mlp", value)
        trace.append([[own.values[kind][layer] for kind in ("attn", "mlp")] for layer in range(config["depth"])])
        counted.record_similarity(value, "attn" if i % 3 else "mlp")
        counted.record_cache_usage(value > 0.6)
    seen.add("f64_similarities", values)
    seen.add("f64_thresholds", np.array(trace))
    lines = [Line("hit_rate", abs(counted.hit_rate - case.meta["hit_rate"]), 1e-12)]
    for kind, figures in case.meta["similarity_stats"].items():
        found = counted.similarity_stats()[kind]
        lines.append(Line(f"{kind} statistics", max(abs(found[name] - figures[name]) for name in figures), 1e-12))
    return seen.finish() + lines


def _generations(case: Case) -> list[Line]:
    seen, sides = Comparison(case), case.meta["config"]["patch_nums"]
    columns = [dst for dst, _, _ in case.meta["transitions"]]
    _similarities(case, seen, columns)
    table = _table(case, "sim_bilinear", columns, len(sides))
    for name, spec in case.meta["runs"].items():
        _run(case, seen, name, _plan(case, spec, table), spec)
    for name, spec in case.meta["preset_decisions"]["presets"].items():
        _decisions(case, seen, name, spec, table)
    return seen.finish()


def _table(case: Case, name: str, columns: list[int], stages: int) -> Table:
    out = {}
    for kind in ("attn", "mlp"):
        values = case.arrays[f"{name}_{kind}"]
        out[kind] = np.full((len(values), stages), math.nan)
        out[kind][:, columns] = values
    return out


def _similarities(case: Case, seen: Comparison, columns: list[int]) -> None:
    second = case.meta["second_input"]
    means: dict[str, list[Tensor]] = {}
    for mode, prefix, inputs in (
        *((mode, f"sim_{mode}", {}) for mode in MODES),
        ("bilinear", "simB_bilinear", second),
    ):
        found = _measured(case, mode, inputs)
        for kind, values in found.items():
            seen.add(f"{prefix}_{kind}", values[:, columns])
            if mode == "bilinear":
                means.setdefault(kind, []).append(values[:, columns])
    for kind, parts in means.items():
        seen.add(f"sim_mean_bilinear_{kind}", torch.stack(parts).mean(0))


def _measured(case: Case, mode: str, inputs: dict[str, str]) -> dict[str, Tensor]:
    gen = Generation(_with_inputs(case, inputs))
    sides = gen.layout.patch_nums
    watch = Measured(sides, layers=gen.model.layers, mode=mode)
    for k in range(len(sides)):
        _stage(gen, k, watch.at(k))
    return {kind: values.mean(0) for kind, values in watch.table.items()}


def _with_inputs(case: Case, second: dict[str, str]) -> Case:
    """The case with other text and noise."""
    if not second:
        return case
    config = dict(case.meta["config"])
    inputs = {name: dict(value) if isinstance(value, dict) else value for name, value in config["inputs"].items()}
    inputs["context"]["tag"] = second["context_tag"]
    noise = {name: dict(value) for name, value in inputs["residual_noise"].items() if isinstance(value, dict)}
    noise["init"]["tag"], noise["step_i"]["tag"] = f"{second['noise_tag']}/init", f"{second['noise_tag']}/step{{i}}"
    inputs["residual_noise"] = noise
    return Case(case.name, case.meta | {"config": config | {"inputs": inputs}}, case.arrays, case.folder)


def _plan(case: Case, spec: dict[str, Any], table: Table) -> Plan:
    options = Options(
        skip_stages=spec["skip_tokens"],
        cache_stages=spec["cache_tokens"],
        enable_attn_cache=spec["attn"],
        enable_mlp_cache=spec["mlp"],
        threshold=spec["threshold"] or 0.0,
        interpolation_mode=spec["mode"],
    )
    config = case.meta["config"]
    return planned(options, map_of(config["patch_nums"]), layers=config["depth"], table=None if spec["force"] else table)


def _run(case: Case, seen: Comparison, name: str, plan: Plan, spec: dict[str, Any]) -> None:
    found = plan.counted()
    for key in ("eligible", "reused", "hit_rate", "overall_reuse"):
        seen.lines.append(Line(f"{name} {key}", abs(found[key] - spec[key]), 1e-12))
    events = [[e.stage, e.layer, e.kind, int(e.hit)] for e in plan.events]
    seen.lines.append(line(f"{name} events", events != spec["events_stage_layer_kind_hit"]))
    gen, slots = Generation(case), Slots()
    for k, side in enumerate(gen.layout.patch_nums):
        answers = Answers(plan, k, side, slots, drop_kv=spec["kv"] == "drop") if k in plan.acting else None
        logits, hidden = _said(gen, k, answers)
        prefix = f"{name}__stage{k:02d}"
        seen.add(f"{prefix}_logits", logits)
        ids = keep(logits, top_k=gen.sampling.at(k).top_k, top_p=0.0).argmax(-1)
        if f"{prefix}_ids" in case.arrays:
            stored = seen.stored(f"{prefix}_ids").long()
            best = logits.topk(2, -1).values
            sure = best[..., 0] - best[..., 1] > 4 * case.meta["arrays"][f"{prefix}_logits"]["suggested_atol"]
            seen.lines.append(line(f"{prefix}_ids free", (ids != stored)[sure].sum().item()))
            ids = stored
        _paint(gen, k, ids, hidden)
    seen.add(f"{name}__f_hat_final", gen.canvas.f_hat)
    if f"{name}__image" in case.meta["arrays"]:
        seen.add(f"{name}__image", (gen.model.decode(gen.canvas.f_hat) + 1) / 2)


def _stage(gen: Generation, k: int, sublayers: Any) -> None:
    logits, hidden = _said(gen, k, sublayers)
    _paint(gen, k, keep(logits, top_k=gen.sampling.at(k).top_k, top_p=0.0).argmax(-1), hidden)


def _said(gen: Generation, k: int, sublayers: Any) -> tuple[Tensor, Tensor]:
    x = gen.run.begin() if k == 0 else gen.run.embed(gen.canvas.next_input(), first=k, last=k)
    hidden = gen.layout.token_rows(gen.run.advance(x, first=k, last=k, sublayers=sublayers), first=k)
    return combine(gen.run.logits(hidden), gen.sampling.at(k).t), hidden


def _paint(gen: Generation, k: int, ids: Tensor, hidden: Tensor) -> None:
    noise: Any = GoldenNoise(gen.config, gen.rows)
    gen.canvas.add(gen.model.codes_of(ids, hidden, k, weights=None, t=gen.sampling.at(k).t, noise=noise))


def _decisions(case: Case, seen: Comparison, name: str, spec: dict[str, Any], table: Table) -> None:
    """Of a preset in the v2 form, on the measured table alone."""
    presets = case.meta["preset_decisions"].get("configs") or _v2_presets(case)
    own, stages = presets[name], map_of(case.meta["config"]["patch_nums"])
    options = Options(**own | {"adaptive_threshold": False})  # the case leaves it out of account
    plan = planned(options, stages, layers=case.meta["config"]["depth"], table=table)
    events = [[e.stage, e.layer, e.kind, int(e.hit)] for e in plan.events if plan.stores(e.layer, e.kind, e.stage - 1)]
    counts = Counter(hit for *_, hit in events)
    wanted = spec["events_stage_layer_kind_hit"]
    seen.lines.append(line(f"preset {name}", [e for e in events if e[3]] != [e for e in wanted if e[3]]))
    seen.lines.append(line(f"preset {name} reused", counts[1] != spec["reused"]))


def _v2_presets(case: Case) -> dict[str, Any]:
    presets: dict[str, Any] = json.loads((case.folder / "cache_tables.json").read_text())["v2"]["presets"]
    return presets


HANDLERS: dict[str, Callable[[Case], list[Line]]] = {
    "tables": _tables,
    "feature_interpolate": _interpolation,
    "adaptive_threshold": _adaptive,
    "stage_cache": _generations,
}
