"""The engines of VAR: `python experiments/bench.py +bench=var_engine`.

The floor is that of the generator's number format: per scale, weights without adaLN and the cache are read once; adaLN and the
decoder's weights once per batch.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any, ClassVar

import torch

from sdaccel.benches.agreement import agreement
from sdaccel.benches.engines import Engines, decoder_parameters, scale_stages
from sdaccel.conditions import Condition
from sdaccel.generators.base import torch_dtype
from sdaccel.generators.nextscale.engine import Eager
from sdaccel.generators.var.cost import ROWS, ada_macs, scale_macs
from sdaccel.generators.var.engine_fast import Fast
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.generators.var.sampler import VarModel
from sdaccel.measure.floor import Work
from sdaccel.registry import configurable

COMPARED = 2
"""Images that engines are compared on, token by token."""


@configurable(group="bench", name="var_engine")
@dataclass(frozen=True, kw_only=True)
class VarEngine(Engines):
    """The benchmark."""

    question: ClassVar[str] = "What does an image cost under every engine of VAR, beside the least that it could cost?"
    kind: ClassVar[type] = Var
    example: ClassVar[str] = "var_d16"
    ends: ClassVar[Mapping[str, str]] = {
        "start": "class and adaLN",
        "block0_input": "canvas",
        "last_block_output": "blocks",
        "tokens": "head and sampling",
        "f_hat": "canvas",
    }

    def conditions(self, generator: Var, count: int) -> list[Condition]:
        return list(islice(cycle(range(generator.num_classes)), count))

    def told(self, runtime: VarRuntime, conditions: list[Condition]) -> torch.Tensor:
        return torch.tensor(conditions, device=runtime.var.pos_start.device)

    def anew(self, runtime: VarRuntime) -> VarRuntime:
        return VarRuntime(runtime.config, *copy.deepcopy((runtime.var, runtime.vae)))

    def stages(self, generator: Var, size: int) -> list[Work]:
        return work(generator, size)

    def beside(self, runtimes: dict[str, VarRuntime], device: torch.device) -> dict[str, Any]:
        return {"agreement": agreements(runtimes, device)}


def work(config: Var, size: int) -> list[Work]:
    """The stages of one batch: adaLN, every scale, the decoder."""
    g, item = config.geometry, torch_dtype(config.dtype).itemsize
    macs = [scale_macs(g, k) - (ada_macs(g) if k == 0 else 0) for k in range(config.steps)]
    weights, kv = g.depth * 12 * g.width**2 + g.width * g.vocab, 2 * g.depth * ROWS * g.width
    return [
        Work(item * ada_macs(g) / ROWS, size * ada_macs(g)),
        *scale_stages(config.layout, macs, weights=weights, kv=kv, itemsize=item, size=size),
        Work(item * decoder_parameters(config), size * config.cost().decode_macs),
    ]


@torch.no_grad()
def agreements(runtimes: dict[str, VarRuntime], device: torch.device) -> dict[str, dict[str, Any]]:
    """Every fast arm beside the first eager one on its canvas: how far the logits are off, and whether that explains each token
    that differs. Filters are off: at their edge a rounding decides whether a code may win at all."""
    reference = next((r for r in runtimes.values() if isinstance(r.engine, Eager)), None)
    fast = {name: r for name, r in runtimes.items() if isinstance(r.engine, Fast)}
    if reference is None:
        return {}
    labels, seeds = torch.arange(COMPARED, device=device) % reference.config.num_classes, torch.arange(COMPARED, device=device)
    out: dict[str, dict[str, Any]] = {}
    for name, runtime in fast.items():
        sampling = replace(runtime.config, top_k=0, top_p=0.0, more_smooth=False).sampling
        loop: Any = runtime.engine.start(labels, seeds, sampling=sampling)
        found = agreement(loop.run, labels, seeds, sampling=sampling, model=VarModel(reference.var, reference.vae))
        out[name] = {
            "relative_l2": float(f"{found.relative_l2:.3g}"),
            "tokens": found.tokens,
            "different": len(found.differences),
            "unexplained": sum(not difference.explained for difference in found.differences),
        }
    return out
