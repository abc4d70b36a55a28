"""An engine without diffusers' modules serves the same backends, hands out the same features and passes the same audit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import gelu, linear, scaled_dot_product_attention

from sdaccel.generators.base import Generation
from sdaccel.generators.flux import runtime as runtime_module
from sdaccel.generators.flux.blocks import Rope
from sdaccel.generators.flux.generator import FluxRuntime
from sdaccel.generators.flux.operators import Operators, Weights
from sdaccel.generators.flux.processor import rotated
from sdaccel.strategies.forecast.audit import Audited
from sdaccel.strategies.forecast.strategy import HiCache
from sdaccel.strategies.plain import Dense, Original
from tests.generators.flux.tiny import batch, built, relative
from tests.strategies.column_sparse.tiny import SPARSE


class Products:
    """Blocks as products of their weights: no module of theirs is called, so no hook and no processor of it would be."""

    def __init__(self, model: Any, *, compile: bool = False) -> None:
        self.blocks, self.single_blocks = list(model.transformer_blocks), list(model.single_transformer_blocks)
        self.doubles, self.singles = len(self.blocks), len(self.single_blocks)
        self.operators: Operators | None = None
        self.seen: dict[str, Tensor] | None = None
        self.entered: Tensor
        """What the first single block was given."""

    @contextmanager
    def serving(self, operators: Operators | None) -> Iterator[None]:
        self.operators = operators
        yield
        self.operators = None

    @contextmanager
    def watched(self, *, text: int) -> Iterator[dict[str, Tensor]]:
        self.seen = {}
        yield self.seen
        self.seen = None

    def double(self, index: int, image: Tensor, text: Tensor, temb: Tensor, rope: Rope) -> tuple[Tensor, ...]:
        block, length = self.blocks[index], text.shape[1]
        normed, gate, shift, scale, gate_mlp = block.norm1(image, emb=temb)
        text_normed, text_gate, text_shift, text_scale, text_gate_mlp = block.norm1_context(text, emb=temb)
        attn = block.attn
        own = self._projected(attn, normed, "to_{}", attn.norm_q, attn.norm_k)
        others = self._projected(attn, text_normed, "add_{}_proj", attn.norm_added_q, attn.norm_added_k)
        out = self._attend(index, rope, *(torch.cat(pair, 1) for pair in zip(others, own, strict=True)))
        attention = _linear(attn.to_out[0], out[:, length:])
        image = image + gate.unsqueeze(1) * attention
        mlp = self._mlp(index, block.norm2(image) * (1 + scale[:, None]) + shift[:, None], block.ff)
        text = text + text_gate.unsqueeze(1) * _linear(attn.to_add_out, out[:, :length])
        hidden = block.norm2_context(text) * (1 + text_scale[:, None]) + text_shift[:, None]
        text = text + text_gate_mlp.unsqueeze(1) * _dense(hidden, _weights(block.ff_context))
        self._show({f"double.{index}.attn": attention, f"double.{index}.mlp": mlp})
        return image + gate_mlp.unsqueeze(1) * mlp, text, attention, mlp

    def single(self, index: int, image: Tensor, text: Tensor, temb: Tensor, rope: Rope) -> tuple[Tensor, ...]:
        block, layer, length = self.single_blocks[index], self.doubles + index, text.shape[1]
        joint = torch.cat([text, image], 1)
        normed, gate = block.norm(joint, emb=temb)
        attn = block.attn
        attention = self._attend(layer, rope, *self._projected(attn, normed, "to_{}", attn.norm_q, attn.norm_k))
        down, width = block.proj_out, attention.shape[-1]
        weights = Weights(block.proj_mlp.weight, block.proj_mlp.bias, down.weight[:, width:], down.bias)
        total = linear(attention, down.weight[:, :width]) + self._feed_forward(layer, normed, weights)
        joint = joint + gate.unsqueeze(1) * total
        self._show({f"single.{index}": total[:, length:]})
        if index == 0:
            self.entered = image
        if index == self.singles - 1:
            self._show({"singles": joint[:, length:] - self.entered})
        return joint[:, length:], joint[:, :length], total[:, length:]

    def _projected(self, attn: Any, x: Tensor, names: str, norm_q: Any, norm_k: Any) -> list[Tensor]:
        q, k, v = (_linear(getattr(attn, names.format(part)), x).unflatten(-1, (-1, attn.head_dim)) for part in "qkv")
        return [norm_q(q), norm_k(k), v]

    def _attend(self, layer: int, rope: Rope, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (x.transpose(1, 2) for x in (rotated(q, rope), rotated(k, rope), v))
        ours = self.operators is None or layer not in self.operators.layers_of("attn")
        out = scaled_dot_product_attention(q, k, v) if ours else self.operators.attend(layer, q, k, v)  # type: ignore[union-attr]
        return out.transpose(1, 2).flatten(2)

    def _mlp(self, layer: int, x: Tensor, ff: Any) -> Tensor:
        return self._feed_forward(layer, x, _weights(ff))

    def _feed_forward(self, layer: int, x: Tensor, weights: Weights) -> Tensor:
        if self.operators is None or layer not in self.operators.layers_of("mlp"):
            return _dense(x, weights)
        return self.operators.feed_forward(layer, x, weights)

    def _show(self, features: dict[str, Tensor]) -> None:
        if self.seen is not None:
            self.seen |= {name: value.clone() for name, value in features.items()}


def _linear(module: Any, x: Tensor) -> Tensor:
    return linear(x, module.weight, module.bias)


def _weights(ff: Any) -> Weights:
    up, down = ff.net[0].proj, ff.net[2]
    return Weights(up.weight, up.bias, down.weight, down.bias)


def _dense(x: Tensor, w: Weights) -> Tensor:
    return linear(gelu(linear(x, w.w1, w.b1), approximate="tanh"), w.w2, w.b2)


@pytest.fixture(scope="module")
def runtime() -> FluxRuntime:
    return built()


def both(runtime: FluxRuntime, backend: Any, strategy: Any) -> tuple[Generation, Generation]:
    """diffusers' modules, and products."""
    with pytest.MonkeyPatch.context() as patch:
        modules = runtime.generate(batch(), backend=backend, strategy=strategy, keep=["latents"])
        patch.setattr(runtime_module, "Modules", Products)
        return modules, runtime.generate(batch(), backend=backend, strategy=strategy, keep=["latents"])


@pytest.mark.parametrize("backend", [Dense(), SPARSE], ids=["dense", "sparse"])
@pytest.mark.parametrize("strategy", [Original(), HiCache(interval=3)], ids=["original", "hicache"])
def test_it_makes_the_same_picture(backend: Any, strategy: Any, runtime: FluxRuntime) -> None:
    modules, products = both(runtime, backend, strategy)
    assert modules.kinds == products.kinds
    assert relative(products.arrays["latents"], modules.arrays["latents"]) < 2e-6


@pytest.mark.parametrize("backend", [Dense(), SPARSE], ids=["dense", "sparse"])
def test_it_passes_the_audit(backend: Any, runtime: FluxRuntime) -> None:
    honest = HiCache(interval=3)
    _, products = both(runtime, backend, Audited(honest, honest))
    full = torch.tensor([kind == "full" for kind in products.kinds])
    assert products.arrays["anchor_error"][:, full].max() == 0
    assert products.arrays["reference_error"].nan_to_num(0).max() < 1e-5


def test_an_engine_whose_operators_are_not_asked_would_show(runtime: FluxRuntime) -> None:
    sparse, dense = both(runtime, SPARSE, Original())[1], both(runtime, Dense(), Original())[1]
    assert relative(sparse.arrays["latents"], dense.arrays["latents"]) > 1e-4
