"""The places where a strategy may touch one FLUX generation: full steps that emit features, and steps without blocks.

Features are what the gates multiply, over image tokens only: the attention and MLP outputs of a double block and the one
output of a single block. Text features never reach the velocity except through these, so a step whose features are known is

    h = img_in(x_t) + sum_b gate_b(t) * F_b        velocity = head(h, t)

Gates depend on (t, pooled text, guidance) and not on x_t.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Emit = Callable[[str, Tensor], None]


class DenoiseSeam(Protocol):
    """What a strategy sees of a flow transformer during one generation."""

    @property
    def features(self) -> list[str]:
        """Names of the features, in order of computation."""
        ...

    def full(self, step: int, x: Tensor, *, emit: Emit | None = None) -> Tensor:
        """The model's velocity at x, (B, L, C) in float32 or wider; `emit` receives every feature as (B, L, D)."""
        ...

    def from_features(self, step: int, x: Tensor, feature: Callable[[str], Tensor]) -> Tensor:
        """The velocity at x when the features are given instead of computed."""
        ...


class FluxSeam:
    """A diffusers FluxTransformer2DModel bound to one batch of prompts and one schedule.

    Under true guidance (`true_cfg` not 1) the inputs hold 2 B rows, B with and B without the prompts; features have 2 B rows,
    latents and velocities B.
    """

    def __init__(
        self, model: nn.Module, *, inputs: dict[str, Tensor], times: list[float], dtype: torch.dtype, true_cfg: float = 1.0
    ) -> None:
        self.model: Any = model
        self.inputs = inputs
        self.times = times
        self.dtype = dtype
        self.true_cfg = true_cfg
        self.wide = torch.promote_types(dtype, torch.float32)  # sums over features and steps are never coarser
        self.text = inputs["encoder_hidden_states"].shape[1]

    @property
    def features(self) -> list[str]:
        doubles = [f"double.{i}.{part}" for i in range(len(self.model.transformer_blocks)) for part in ("attn", "mlp")]
        return doubles + [f"single.{i}" for i in range(len(self.model.single_transformer_blocks))]

    def full(self, step: int, x: Tensor, *, emit: Emit | None = None) -> Tensor:
        x = self._branched(x)
        with self._emitting(emit):
            out = self.model(
                hidden_states=x.to(self.dtype), timestep=self._time(step, len(x)), return_dict=False, **self.inputs
            )
        return self._guided(out[0].to(self.wide))

    def from_features(self, step: int, x: Tensor, feature: Callable[[str], Tensor]) -> Tensor:
        x = self._branched(x)
        temb = self._embed_time(step, len(x))
        h = self.model.x_embedder(x.to(self.dtype)).to(self.wide)
        for name, gate in self._gates(temb):
            h += gate.to(self.wide) * feature(name)
        return self._guided(self.model.proj_out(self.model.norm_out(h.to(self.dtype), temb)).to(self.wide))

    def _branched(self, x: Tensor) -> Tensor:
        return x if self.true_cfg == 1 else torch.cat([x, x])

    def _guided(self, v: Tensor) -> Tensor:
        """From the velocities without the prompts, past those with them."""
        if self.true_cfg == 1:
            return v
        told, untold = v.chunk(2)
        return untold + self.true_cfg * (told - untold)

    def _time(self, step: int, rows: int) -> Tensor:
        return torch.full((rows,), self.times[step], dtype=self.dtype, device=self.inputs["pooled_projections"].device)

    def _embed_time(self, step: int, rows: int) -> Tensor:
        """The conditioning vector of every adaLN, (B, D); diffusers scales times and guidance by 1000 in the model's dtype."""
        vectors = [self._time(step, rows) * 1000]
        if "guidance" in self.inputs:
            vectors.append(self.inputs["guidance"].to(self.dtype) * 1000)
        return self.model.time_text_embed(*vectors, self.inputs["pooled_projections"])

    def _gates(self, temb: Tensor) -> Iterator[tuple[str, Tensor]]:
        """(feature name, (B, 1, D) gate): chunks 2 and 5 of a double block's six, the last of a single block's three."""
        for i, block in enumerate(self.model.transformer_blocks):
            chunks = block.norm1.linear(block.norm1.silu(temb)).chunk(6, dim=-1)
            yield f"double.{i}.attn", chunks[2].unsqueeze(1)
            yield f"double.{i}.mlp", chunks[5].unsqueeze(1)
        for i, block in enumerate(self.model.single_transformer_blocks):
            yield f"single.{i}", block.norm.linear(block.norm.silu(temb)).chunk(3, dim=-1)[2].unsqueeze(1)

    @contextmanager
    def _emitting(self, emit: Emit | None) -> Iterator[None]:
        """Forward hooks for the length of one step: nothing of a strategy outlives it on the model."""
        if emit is None:
            yield
            return
        handles = []
        try:
            for i, block in enumerate(self.model.transformer_blocks):
                handles.append(block.attn.register_forward_hook(_sender(emit, f"double.{i}.attn", lambda out: out[0])))
                handles.append(block.ff.register_forward_hook(_sender(emit, f"double.{i}.mlp", lambda out: out)))
            for i, block in enumerate(self.model.single_transformer_blocks):
                send = _sender(emit, f"single.{i}", lambda out: out[:, self.text :])
                handles.append(block.proj_out.register_forward_hook(send))
            yield
        finally:
            for handle in handles:
                handle.remove()


def _sender(emit: Emit, name: str, pick: Callable[[Any], Tensor]) -> Callable[[nn.Module, Any, Any], None]:
    return lambda module, args, output: emit(name, pick(output))
