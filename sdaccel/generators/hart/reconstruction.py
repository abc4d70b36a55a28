"""Real pictures through HART's tokenizer and back, with what the codes leave out or without: the best that HART can reach."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from sdaccel.conditions import Condition
from sdaccel.generators.hart import weights
from sdaccel.generators.hart.model import PATCH_NUMS, hybrid_layout
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.reconstruction import ThroughTokens
from sdaccel.generators.published import Source, fingerprint
from sdaccel.generators.world.generator import WorldRuntime
from sdaccel.registry import configurable


@configurable(group="generator", name="hart_reconstruction")
@dataclass(frozen=True, kw_only=True)
class HartReconstruction(ThroughTokens):
    """Sample i is the picture i of the world, encoded and decoded: as it is, or quantised at every scale."""

    kind: str = "captioned"
    image_size: int = 256
    residual: bool = True
    """The features themselves, as a perfect residual head would complete the codes; False: the codes alone."""
    vae_weights: str = "shipped:hart_tokenizer"
    """Tokenizer: folder with tokenizer/, file, repository in the hub's cache, or shipped:NAME."""
    vocab: int = 28
    patch_nums: list[int] = field(default_factory=lambda: list(PATCH_NUMS))
    """Sides of the scales."""

    def check(self, conditions: Sequence[Condition]) -> None:
        super().check(conditions)
        weights.check_tokenizer(self._source(), self.without_storage())

    def identity(self) -> dict[str, Any]:
        return super().identity() | {"sha256": fingerprint(weights.vae_path(self._source()))}

    @property
    def layout(self) -> Layout:
        return hybrid_layout(tuple(self.patch_nums))

    def _source(self) -> Source:
        return weights.source("generator.vae_weights", self.vae_weights)

    def shown(self, pictures: Tensor, vae: Any) -> Tensor:
        f = vae.encode(pictures * 2 - 1)
        return (vae.decode(f if self.residual else vae.tokenize(f, self.layout)[1].f_hat) + 1) / 2

    def build(self, device: torch.device) -> WorldRuntime:
        vae = weights.load_tokenizer(self._source(), self.without_storage(), device=device, dtype=torch.float32)
        return WorldRuntime(self, vae)
