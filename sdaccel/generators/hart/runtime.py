"""A built HART: prompts and noise to images. Everything that belongs to one generation lives in `generate`."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from sdaccel.conditions import Batch, Condition
from sdaccel.generators.base import Generation, torch_dtype
from sdaccel.generators.hart.context import Context
from sdaccel.generators.hart.diffusion import Chain
from sdaccel.generators.hart.engine import make_engine
from sdaccel.generators.hart.model import HART
from sdaccel.generators.hart.sampler import HartModel
from sdaccel.generators.hart.text import Reader
from sdaccel.generators.nextscale.engine import Loop, generated
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE

if TYPE_CHECKING:
    from sdaccel.generators.hart.generator import Hart


class HartRuntime(nn.Module):
    """Transformer, tokenizer and what reads the prompts."""

    def __init__(self, config: "Hart", hart: HART, vae: VQVAE, reader: Reader) -> None:
        super().__init__()
        self.config, self.hart, self.vae, self.reader = config, hart, vae, reader
        chain = Chain.of(config.head_steps) if config.residual else None
        self.engine = make_engine(config.engine, HartModel(hart, vae, chain=chain), dtype=torch_dtype(config.dtype))

    def prepare(self, conditions: Sequence[Condition], *, cache: Path) -> None:
        """Read every prompt of a study once, before the first picture; `cache` is a folder that may be deleted."""
        self.reader.prepare([str(condition) for condition in conditions], folder=cache)

    @torch.inference_mode()
    def generate(self, batch: Batch, *, backend: Any, strategy: Any, keep: Collection[str] = ()) -> Generation:
        context = self.reader.read([str(condition) for condition in batch.conditions])
        loop = self.start(context, batch.seeds.to(self.hart.head.weight.device))
        return generated(loop, scales=self.config.steps, strategy=strategy, keep=keep)

    def start(self, condition: Context, seeds: Tensor) -> Loop:
        """A generation of one image per prompt, for `generate` or for a strategy that runs this model beside another."""
        return self.engine.start(condition, seeds, sampling=self.config.sampling)
