"""Golden cases of column sparsity: attention, MLP, token order, schedule."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from sdaccel.strategies.column_sparse import attention, mlp
from sdaccel.strategies.column_sparse.groups import ungrouped
from sdaccel.strategies.column_sparse.options import ColumnSparse, SparseAttention, SparseMlp
from sdaccel.strategies.column_sparse.order import patch_order
from sdaccel.strategies.column_sparse.plan import Kind, plans
from sdaccel.strategies.column_sparse.state import AttentionState, MlpState
from tests.conformance.cases import Case, Line
from tests.conformance.compare import compare, missing
from tests.conformance.fill import filled

DOUBLE = 1e-10
FORMS = {"delta": "delta", "merge": "lse_merge"}
MASSES = {"prevlse": "previous", "curlse": "current"}


def handles(case: Case) -> bool:
    return case.name.startswith(("sparse_", "token_permutation"))


def run(case: Case) -> list[Line]:
    if case.name.startswith("sparse_attention"):
        return _attention(case)
    if case.name.startswith("sparse_mlp"):
        return _mlp(case)
    if case.name.startswith("sparse_schedule"):
        return _schedule(case)
    return _permutation(case)


def _attention(case: Case) -> list[Line]:
    """Through the state that the backend keeps, at the full steps that the case names."""
    config, inputs = case.meta["config"], ("q", "k", "v")
    q, k, v = (torch.from_numpy(case.arrays[name]).double() for name in inputs)
    dense = attention.dense_attention(q, k, v)
    lines = [Line(name, 0.0, 0.0) for name in inputs]
    lines += _compared(case, {"dense_out": dense.out, "dense_lse": dense.lse})
    for variant, selections in case.meta["selection_steps"].items():
        mask, mass = variant.split("_")
        arrays: dict[str, Tensor] = {}
        for form, ours in FORMS.items():
            options = SparseAttention(
                top_keys=config["tk"] / config["N"],
                counts_multiple_of=1,
                mbm=config["group"],
                form=ours,
                column_mass=MASSES[mass],
            )
            found = _replayed(q, k, v, options, full=config["full_steps"], renew=mask == "newmask")
            lines.append(_exact(f"selections {form} {variant}", found["selections"], selections))
            arrays |= {f"out_{form}_{variant}": found["out"]}
            arrays |= {f"indices_{variant}": found["columns"], f"colscore_{variant}": found["mass"]}
            if variant == "oldmask_prevlse":
                arrays |= {f"step1_{part}": value for part, value in _first_rest(q, k, v, options, form).items()}
        lines += _compared(case, {name: value for name, value in arrays.items() if name in case.meta["arrays"]})
    return lines + missing(case, lines)


def _replayed(q: Tensor, k: Tensor, v: Tensor, options: SparseAttention, *, full: Sequence[int], renew: bool) -> dict[str, Any]:
    state, out, selections, columns, masses = AttentionState(options), [], [], [], []
    for step in range(len(q)):
        now = tuple(x[step : step + 1] for x in (q, k, v))
        kind = Kind.SPARSE
        if step in full:
            kind = Kind.FULL_INIT if step == 0 else Kind.FULL_MASK if step == 1 or renew else Kind.FULL
        if kind is Kind.FULL_MASK:
            lse = attention.dense_attention(*now).lse if options.column_mass == "current" else state.lse
            assert lse is not None
            masses.append(attention.column_mass(now[0], now[1], lse, group=options.mbm)[0])
        made = state.step(kind, *now)
        if kind is Kind.SPARSE:
            out.append(made[0])
        if kind is Kind.FULL_MASK:
            assert state.columns is not None
            selections.append(step)
            columns.append(state.columns[0])
    return {"out": torch.stack(out), "selections": selections, "columns": torch.stack(columns), "mass": torch.stack(masses)}


def _first_rest(q: Tensor, k: Tensor, v: Tensor, options: SparseAttention, form: str) -> dict[str, Tensor]:
    """What step 1 caches: o_S and l_S, and C or R and beta."""
    state = AttentionState(options)
    for step, kind in enumerate((Kind.FULL_INIT, Kind.FULL_MASK)):
        state.step(kind, *(x[step : step + 1] for x in (q, k, v)))
    assert state.columns is not None and state.rest is not None
    chosen = attention.column_attention(q[1:2], k[1:2], v[1:2], state.columns, group=options.mbm)
    parts = {"oS": chosen.out[0], "lS": chosen.lse[0]}
    if form == "delta":
        return parts | {"C": state.rest.out[0]}
    return parts | {"R": state.rest.out[0], "beta": state.rest.beta[0]}


def _mlp(case: Case) -> list[Line]:
    config = case.meta["config"]
    names = config["weight_names"]
    up, down = (config["F"], config["C"]), (config["C_out"], config["F"])
    shapes = {"fc1.weight": up, "fc1.bias": up[:1], "fc2.weight": down, "fc2.bias": down[:1]}
    w = mlp.Weights(*(torch.from_numpy(filled(names[key], shape)).double() for key, shape in shapes.items()))
    x = torch.from_numpy(case.arrays["x"]).double()
    rank = mlp.threshold_rank(min(config["quantile_sample"], config["F"]), config["keep"])
    lines = [Line("x", 0.0, 0.0), _exact("threshold rank", [rank], [config["threshold_rank"]])]
    lines += _compared(case, {"dense_y": linear(mlp.activations(x, w), w.w2, w.b2)})
    for rule in ("quantile", "fixed"):
        if f"{rule}_y" in case.meta["arrays"]:
            lines += _mlp_rule(case, rule, x, w)
    return lines + missing(case, lines)


def _mlp_rule(case: Case, rule: str, x: Tensor, w: mlp.Weights) -> list[Line]:
    config = case.meta["config"]
    options = SparseMlp(
        top_keys=config["keep"],
        counts_multiple_of=1,
        mbm=config["group"],
        quantile_sample=config["quantile_sample"],
        fixed_count=config["fixed_k"] if rule == "fixed" else None,
    )
    state, ys, masks = MlpState(options), [], []
    arrays: dict[str, Tensor] = {}
    for step, kind in enumerate(config["sequence"]):
        before = state.means
        now = x[step : step + 1]
        ys.append(state.step(Kind.SPARSE if kind == "sparse" else Kind.FULL, now, w, select=True)[0])
        assert state.activations is not None and state.means is not None
        parts = {"A": ungrouped(state.activations.clone(), x.shape[1])[0], "blockmean": state.means[0]}
        if kind == "sparse":
            assert before is not None and state.neurons is not None
            parts["score"] = (mlp.mean_hidden(now, w, group=options.mbm) - before).abs()[0]
            masks.append(torch.zeros_like(before, dtype=torch.bool).scatter(-1, state.neurons.indices, state.neurons.valid)[0])
        prefix = f"step{step}" if step == 0 else f"{rule}_step{step}"
        arrays |= {f"{prefix}_{name}": value for name, value in parts.items()}
    mask = torch.stack(masks).numpy()
    found: dict[str, Any] = {
        f"{rule}_mask_bits": np.packbits(mask, axis=-1),
        f"{rule}_counts": mask.sum(-1).astype(np.int32),
        f"{rule}_y": torch.stack(ys),
    }
    return _compared(case, {name: value for name, value in (found | arrays).items() if name in case.meta["arrays"]})


def _permutation(case: Case) -> list[Line]:
    found: dict[str, Tensor] = {}
    for rows, columns, outer, inner in case.meta["config"]["grids"]:
        perm = patch_order(rows, columns, chunk_size_1=outer, chunk_size_2=inner)
        key = f"{rows}x{columns}_{outer}_{inner}"
        found |= {f"perm_{key}": perm, f"inv_{key}": perm.argsort()}
    lines = _compared(case, {name: value.int() for name, value in found.items() if name in case.meta["arrays"]})
    return lines + missing(case, lines)


def _schedule(case: Case) -> list[Line]:
    """Steps without forecasts, where both clocks agree."""
    steps, every = case.meta["config"]["steps"], case.meta["config"]["full_every"]
    options = ColumnSparse(attn=SparseAttention(full_step_every=every), mlp=SparseMlp(full_step_every=every))
    made = plans(range(steps), options)
    lines = [
        _exact("attention_full_steps", [p.step for p in made if p.attn is not Kind.SPARSE], case.meta["attention_full_steps"]),
        _exact("mlp_full_steps", [p.step for p in made if p.mlp is not Kind.SPARSE], case.meta["mlp_full_steps"]),
        _exact(
            "mlp_reselect_steps",
            [p.step for p in made if p.mlp is Kind.SPARSE and p.select],
            case.meta["mlp_reselect_steps"],
        ),
    ]
    for key, wanted in case.meta["tk"].items():
        tokens, multiple, fraction = re.fullmatch(r"N(\d+)_m(\d+)_f([\d.]+)", key).groups()  # type: ignore[union-attr]
        count = attention.column_count(int(tokens), top_keys=float(fraction), multiple=int(multiple))
        lines.append(_exact(f"tk {key}", [count], [wanted]))
    return lines


def _compared(case: Case, found: dict[str, Any]) -> list[Line]:
    lines = []
    for name, value in found.items():
        array = value.numpy() if isinstance(value, Tensor) else value
        lines += compare(case, name, array, DOUBLE if array.dtype.kind == "f" else 0.0)
    return lines


def _exact(name: str, found: Sequence[Any], wanted: Sequence[Any]) -> Line:
    return Line(name, float(list(found) != list(wanted)), 0.0)
