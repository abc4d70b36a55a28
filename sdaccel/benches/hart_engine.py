"""The engines of HART: `python experiments/bench.py +bench=hart_engine`.

The floor is that of the generator's number format: per scale, weights and the cache are read once; per step, the residual
head's weights; those around the text and those of the decoder once per batch.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

from sdaccel.benches.engines import Engines, decoder_parameters, scale_stages
from sdaccel.conditions import Condition
from sdaccel.generators.base import torch_dtype
from sdaccel.generators.hart.context import Context
from sdaccel.generators.hart.cost import ROWS, residual_macs, scale_macs, text_macs
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.hart.runtime import HartRuntime
from sdaccel.measure.floor import Work
from sdaccel.registry import configurable


@configurable(group="bench", name="hart_engine")
@dataclass(frozen=True, kw_only=True)
class HartEngine(Engines):
    """The benchmark."""

    question: ClassVar[str] = "What does an image cost under every engine of HART, beside the least that it could cost?"
    kind: ClassVar[type] = Hart
    example: ClassVar[str] = "hart_0.7b"
    ends: ClassVar[Mapping[str, str]] = {
        "start": "text",
        "block0_input": "canvas",
        "last_block_output": "blocks",
        "tokens": "head and sampling",
        "codes": "codes and residual head",
        "f_hat": "canvas",
    }

    def conditions(self, generator: Hart, count: int) -> list[Condition]:
        return [f"picture {i}" for i in range(count)]

    def told(self, runtime: HartRuntime, conditions: list[Condition]) -> Context:
        prompts, device = [str(condition) for condition in conditions], runtime.hart.head.weight.device
        with TemporaryDirectory() as folder:
            runtime.prepare(prompts, cache=Path(folder))
            context = runtime.reader.read(prompts)
        return Context(context.hidden.to(device), context.positions.to(device))

    def anew(self, runtime: HartRuntime) -> HartRuntime:
        return HartRuntime(runtime.config, *copy.deepcopy((runtime.hart, runtime.vae)), runtime.reader)

    def stages(self, generator: Hart, size: int) -> list[Work]:
        return work(generator, size)


def work(config: Hart, size: int) -> list[Work]:
    """The stages of one batch: text, every scale, the residual head, the decoder."""
    g, item = config.geometry, torch_dtype(config.dtype).itemsize
    width, head = g.embed_dim, config.models_without_storage()[0].diffloss
    block = 4 * width**2 + 3 * width * g.hidden
    weights, kv = g.depth * block + width * g.vocab, 2 * g.depth * ROWS * width
    macs = [scale_macs(g, k) - (text_macs(g) if k == 0 else 0) for k in range(config.steps)]
    steps = config.head_steps if config.residual else 0
    return [
        Work(item * (g.context_width * width + 2 * width**2), size * text_macs(g)),
        *scale_stages(config.layout, macs, weights=weights, kv=kv, itemsize=item, size=size),
        Work(item * steps * sum(p.numel() for p in head.parameters()), size * residual_macs(config)),
        Work(item * decoder_parameters(config), size * config.cost().decode_macs),
    ]
