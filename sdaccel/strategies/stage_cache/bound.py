"""What was measured on a model, bound to it: to its scales, its depth and its weights, and sealed against edits.

of        scales (sides), depth, sha256 (of the weights), samples that were measured
attn, mlp a row per layer, a column per stage from the third on
digest    of all that, so that a file which was cut short or edited is told from a whole one
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sdaccel.errors import BadInput
from sdaccel.samples import canonical, digest
from sdaccel.strategies.stage_cache.maps import FIRST
from sdaccel.strategies.stage_cache.options import KINDS

ANEW = "calibrate this model anew"


def bound(tables: Mapping[str, np.ndarray], generator: Any, *, samples: int) -> dict[str, Any]:
    """Similarities (layers, stages) by kind, to six digits, as `strategy.similarity` of this model."""
    rows = {kind: [[float(f"{v:.6g}") for v in row] for row in tables[kind][:, FIRST:].tolist()] for kind in KINDS}
    found = {"of": of_model(generator) | {"samples": samples}, **rows}
    return found | {"digest": seal(found)}


def of_model(generator: Any) -> dict[str, Any]:
    """What similarities follow from; random weights follow from their seed."""
    weights = generator.identity().get("sha256") or ["random", generator.init_seed]
    return {"scales": list(generator.scales), "depth": generator.depth, "sha256": digest(canonical(weights))}


def seal(similarity: Mapping[str, Any]) -> str:
    return digest(canonical({key: value for key, value in similarity.items() if key != "digest"}))[:16]


def check_bound(similarity: Any, generator: Any) -> None:
    """Raise BadInput for what is not whole, or was measured on another model."""
    if not isinstance(similarity, Mapping):
        raise BadInput(f"strategy.similarity={similarity} holds no {' and '.join(KINDS)}; choose a +calibration, or {ANEW}.")
    if unknown := set(similarity) - {*KINDS, "of", "digest"}:
        raise BadInput(f"strategy.similarity.{min(unknown)} is unknown; it holds {', '.join(KINDS)}, of and digest.")
    if missing := [kind for kind in KINDS if kind not in similarity]:
        raise BadInput(f"strategy.similarity has no {missing[0]}: it was cut short; restore its file, or {ANEW}.")
    of = similarity.get("of")
    if of is not None and similarity.get("digest") != seal(similarity):
        raise BadInput(
            "strategy.similarity is not what its calibration measured (its digest says so): its file was cut short or edited, "
            f"or a similarity is given beside it; restore the file, leave one of them out, or {ANEW}."
        )
    if of is not None and (foreign := {k: v for k, v in of_model(generator).items() if of.get(k) != v}):
        name, own = next(iter(foreign.items()))
        raise BadInput(
            f"strategy.similarity was measured on another model ({name} {_short(of.get(name))}, here {_short(own)}); choose "
            f"the calibration of this one, or {ANEW}."
        )
    for kind in KINDS:
        _check_table(kind, similarity[kind], (generator.depth, len(generator.scales) - FIRST))


def _check_table(kind: str, rows: Sequence[Sequence[float]], wanted: tuple[int, int]) -> None:
    try:
        table = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"strategy.similarity.{kind} is no table of numbers; restore its file, or {ANEW}.") from None
    if table.shape != wanted:
        raise BadInput(
            f"strategy.similarity.{kind} is {table.shape}, and this model has {wanted[0]} layers and {wanted[1]} stages that "
            "may reuse; it was measured on another model, calibrate this one."
        )
    if not (np.abs(table) <= 1 + 1e-6).all():
        raise BadInput(f"strategy.similarity.{kind} holds what is no cosine, -1 .. 1; restore its file, or {ANEW}.")


def _short(value: Any) -> str:
    return value[:12] if isinstance(value, str) else str(value)
