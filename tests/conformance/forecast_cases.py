"""Golden cases of the forecasting family: schedules, ladders, forecasts, adaptive scales."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sdaccel.generators.base import torch_dtype
from sdaccel.strategies.forecast.analytic import AnalyticRule, AnalyticState, slope_sizes
from sdaccel.strategies.forecast.anchors import AnchorRing
from sdaccel.strategies.forecast.plan import full_steps, ladder_length
from sdaccel.strategies.forecast.weights import (
    Coefficients,
    divided_differences,
    forecast_weights,
    hermite_coefficients,
    taylor_coefficients,
    taylor_scaled_coefficients,
)
from sdaccel.strategies.plain import Original
from tests.conformance.cases import Case, Line
from tests.strategies.sums import weighted_sum

DOUBLE, SINGLE, ANALYTIC = 1e-12, 1e-5, 1e-6
TRAJECTORIES = {"a": (0.05, 0.3, 0.5, 0.002), "b": (0.09, 0.5, 0.8, -0.003), "tea": (0.02, 0.3, 0.5, 0.0005)}
RULE_FIELDS = {  # upstream's option -> ours
    "analytic_sigma_alpha": "alpha",
    "analytic_sigma_max": "sigma_max",
    "analytic_sigma_beta": "beta",
    "analytic_sigma_q_quantile": "q_quantile",
    "analytic_sigma_smooth": "smooth",
    "analytic_sigma_eps": "epsilon",
}
WARM_UP = 3
"""first_enhance of every upstream mode whose type list does not name another."""


def handles(case: Case) -> bool:
    return case.name.startswith(("forecast_", "schedule_"))


def run(case: Case) -> list[Line]:
    if "full_steps" in case.meta:
        return [_schedule(key, steps) for key, steps in case.meta["full_steps"].items()]
    if "types" in case.meta:
        return _types(case.meta["types"])
    lines = []
    if "features" in case.arrays:
        lines.append(_line("features", _features(case, dtype=torch.float64)[:, 0], case.arrays["features"], DOUBLE))
    for key, options in case.meta["runs"].items():
        if "q_after_full_step" in options:
            lines += _analytic(case, key, options)
        elif "max_abs_diff_vs_float64_run" in options:
            lines += _low_precision(case, key, options)
        else:
            lines += _double_precision(case, key, options)
    return lines


def _schedule(key: str, wanted: list[int]) -> Line:
    steps, interval, first_enhance = (int(n) for n in re.findall(r"\d+", key))
    full = full_steps(steps, interval=interval, first_enhance=first_enhance)
    return _exact(key, [step for step, runs in enumerate(full) if runs], wanted)


def _types(types: dict[str, list[Any]]) -> list[Line]:
    """Only modes that a plan of ours stands for; the others in these lists are not compared."""
    lines = []
    for key, wanted in types.items():
        match = re.fullmatch(r"(original|Taylor|Taylor-Scaled|HiCache|HiCache-Analytic)_T(\d+)_N(\d+)(?:_fe(\d+))?", key)
        if match is None:
            continue
        mode, steps, interval = match[1], int(match[2]), int(match[3])
        plan = Original().plan(steps)
        if mode != "original":
            full = full_steps(steps, interval=interval, first_enhance=int(match[4] or WARM_UP))
            plan = ["full" if runs else "taylor_cache" for runs in full]
        lines.append(_exact(key, plan, wanted))
    return lines


def _double_precision(case: Case, key: str, options: dict[str, Any]) -> list[Line]:
    forecasts, ladders = _forecasts(_features(case, dtype=torch.float64), options)
    lines = [_predicted(case, key, options), _line(key, forecasts, case.arrays[key], DOUBLE)]
    if "ladder" in options:
        lengths = [{"full_step": step, "orders": len(rows)} for step, rows in ladders]
        lines.append(_exact(f"{key}__ladder lengths", lengths, options["ladder"]))
        lines.append(_line(f"{key}__ladder", torch.cat([rows for _, rows in ladders]), case.arrays[f"{key}__ladder"], DOUBLE))
    return lines


def _low_precision(case: Case, key: str, options: dict[str, Any]) -> list[Line]:
    """Half precision: every value is as near to the float64 truth as upstream's worst, or within 2 ulp of upstream's.

    The truth is computed here, so it must first reproduce the recorded distance between upstream's two runs.
    """
    dtype = torch_dtype(key.split("_")[0])
    stored, distance = case.arrays[key], options["max_abs_diff_vs_float64_run"]
    truth = _forecasts(_features(case, dtype=torch.float64), options)[0].numpy()
    forecasts, _ = _forecasts(_features(case, dtype=dtype), options)
    miss = abs(np.abs(truth - stored).max() - distance) / max(1, np.abs(truth).max())
    lines = [_predicted(case, key, options), Line(f"{key} float64 distance", float(miss), DOUBLE)]
    if dtype == torch.float32:
        return [*lines, _line(key, forecasts, stored, SINGLE)]
    found = forecasts.double().numpy()
    two_ulp = 2 * torch.finfo(dtype).eps * 2 ** np.floor(np.log2(np.maximum(np.abs(stored), torch.finfo(dtype).tiny)))
    share = np.minimum(np.abs(found - truth) / distance, np.abs(found - stored) / two_ulp)
    return [*lines, Line(f"{key} (share of what is allowed)", float(share.max()), 1.0)]


def _analytic(case: Case, key: str, options: dict[str, Any]) -> list[Line]:
    modules = len(options["modules"])
    state = AnalyticState(AnalyticRule(**{RULE_FIELDS[name]: value for name, value in (options["kwargs"] or {}).items()}))
    forecasts, sigmas, qs = [], [], {}
    for step, full, steps, anchors in _replay(_features(case, dtype=torch.float64, modules=modules), options):
        if full and len(steps) > 1:
            slope = weighted_sum(anchors[:2], divided_differences(steps[:2])[1])
            state.observe("layer", float(slope_sizes(slope, quantile=state.rule.q_quantile)))
        elif not full and len(steps) > 1:
            sigmas.append(state.advance("layer", 1))
        if full:
            qs[step] = state.q.get("layer")
        else:
            hermite = partial(hermite_coefficients, scale=sigmas[-1] if sigmas else 1.0)
            forecasts.append(weighted_sum(anchors, forecast_weights(steps, step, hermite)))
    wanted = dict(options["q_after_full_step"])
    known = [step for step, q in wanted.items() if q is not None]
    return [
        _predicted(case, key, options),
        _line(key, torch.stack(forecasts).unflatten(0, (-1, modules)), case.arrays[key], ANALYTIC),
        _line(f"{key}__sigma", torch.tensor(sigmas, dtype=torch.float64), case.arrays[f"{key}__sigma"], ANALYTIC),
        _exact(f"{key} steps with q", [(step, q is not None) for step, q in qs.items()], [(s, s in known) for s in wanted]),
        _line(
            f"{key} q", torch.tensor([qs.get(s) or torch.nan for s in known]), np.array([wanted[s] for s in known]), ANALYTIC
        ),
    ]


def _features(case: Case, *, dtype: torch.dtype, modules: int = 1) -> Tensor:
    """The closed form F(s), (steps, modules, tokens, channels)."""
    tokens, channels = case.meta["config"]["feature_shape"]
    w, p, e, q = TRAJECTORIES[case.meta["config"]["trajectory"]]
    axes = (case.meta["config"]["T"], modules, tokens, channels)
    s, m, t, i = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in axes), indexing="ij")
    wave = (1 + 0.1 * i) * np.sin(w * (1 + 0.2 * i) * s + p * i + 0.7 * t + 0.9 * m)
    return torch.from_numpy(wave + e * np.cos(i + 1) * np.exp(-s / (12 + i)) + q * (i % 3 - 1) * s**2 / (1 + t)).to(dtype)


def _replay(features: Tensor, options: dict[str, Any]) -> Iterator[tuple[int, bool, Sequence[float], list[Tensor]]]:
    """(step, full?, steps of the anchors in use, the anchors), step by step and module by module."""
    order, first_enhance = options["max_order"], options["first_enhance"]
    names = [str(module) for module in range(features.shape[1])]
    ring = AnchorRing(order + 1, names)
    buffer = torch.empty_like(features[0])  # reused at every step, as a compiled model does
    for step, full in enumerate(full_steps(len(features), interval=options["interval"], first_enhance=first_enhance)):
        if full:
            ring.begin(step)
            buffer.copy_(features[step])
            for name, feature in zip(names, buffer, strict=True):
                ring.write(name, feature)
        length = ladder_length(ring.steps, max_order=order, first_enhance=first_enhance)
        for name in names:
            yield step, full, ring.steps[:length], ring.anchors(name)[:length]


def _forecasts(features: Tensor, options: dict[str, Any]) -> tuple[Tensor, list[tuple[int, Tensor]]]:
    """Forecasts of all predicted steps, and L_0 .. after every full step."""
    coefficients = _coefficients(options)
    forecasts, ladders = [], []
    for step, full, steps, anchors in _replay(features, options):
        if full:
            ladders.append((step, torch.stack([weighted_sum(anchors, row) for row in divided_differences(steps)])))
        else:
            forecasts.append(weighted_sum(anchors, forecast_weights(steps, step, coefficients)))
    return torch.stack(forecasts), ladders


def _coefficients(options: dict[str, Any]) -> Coefficients:
    modes: dict[str, Callable[[], Coefficients]] = {
        "Taylor": lambda: taylor_coefficients,
        "Taylor-Scaled": lambda: partial(taylor_scaled_coefficients, scale=options["sigma"]),
        "HiCache": lambda: partial(hermite_coefficients, scale=options["sigma"]),
    }
    return modes[options["mode"]]()


def _predicted(case: Case, key: str, options: dict[str, Any]) -> Line:
    full = full_steps(case.meta["config"]["T"], interval=options["interval"], first_enhance=options["first_enhance"])
    return _exact(f"{key} predicted steps", [step for step, runs in enumerate(full) if not runs], options["predicted_steps"])


def _exact(name: str, found: Sequence[Any], wanted: Sequence[Any]) -> Line:
    return Line(name, float(list(found) != list(wanted)), 0.0)


def _line(name: str, found: Tensor, wanted: np.ndarray, tolerance: float) -> Line:
    """Error relative to max(1, |wanted|)."""
    if found.shape != wanted.shape:
        return Line(name, float("inf"), tolerance)
    error = np.abs(found.double().numpy() - wanted) / np.maximum(1, np.abs(wanted))
    return Line(name, float(error.max(initial=0.0)), tolerance)
