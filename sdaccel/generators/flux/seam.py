"""The places where a strategy may touch one FLUX generation: full steps that emit features, and steps that run less.

Features are of image tokens only. Text never reaches the velocity except through them, so the residual stream ends as

    h = img_in(x_t) + sum_b gate_b(t) * F_b        velocity = head(h, t)

with F_b the attention and MLP output of a double block and the one output of a single block. Gates depend on (t, pooled text,
guidance) and not on x_t. Coarser features need no gate: what a block, or all of them, added to the stream.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sdaccel.generators.flux.blocks import Rope
from sdaccel.generators.flux.engine import Engine, Modules
from sdaccel.generators.flux.operators import Operators, real_forward

Emit = Callable[[str, Tensor], None]


class DenoiseSeam(Protocol):
    """What a strategy sees of a flow transformer during one generation."""

    times: list[float]
    """steps + 1 times, from 1 down to 0."""
    wide: torch.dtype
    """Number format of latents and velocities, at least float32."""

    @property
    def device(self) -> torch.device: ...

    @property
    def exact(self) -> bool:
        """The backend left nothing out of the last full step: differences to it are the model's, not the backend's error."""
        ...

    @property
    def features(self) -> list[str]:
        """Names of the gated features, in order of computation."""
        ...

    @property
    def blocks(self) -> list[str]:
        """Names of what every block adds to the residual stream."""
        ...

    def full(self, step: int, x: Tensor, *, emit: Emit | None = None, names: Collection[str] | None = None) -> Tensor:
        """The model's velocity at x, (B, L, C) in float32 or wider.

        `emit` receives those of the values that are named as (B, L, D), all gated features where nothing is said: `features`,
        `blocks`, `trunk` (what all blocks add), `singles` (what the single stack adds), `output` (velocities, unguided).
        """
        ...

    def gates(self, steps: Sequence[int]) -> Tensor:
        """(S, F, B, D): what multiplies `features` at these steps."""
        ...

    def from_trunk(self, step: int, x: Tensor, added: Tensor) -> Tensor:
        """The velocity at x when what all blocks add is given: no block runs."""
        ...

    def from_singles(self, step: int, x: Tensor, added: Tensor) -> Tensor:
        """The velocity at x when what the single stack adds is given: the double blocks run."""
        ...

    def from_output(self, step: int, x: Tensor, output: Tensor) -> Tensor:
        """The velocity when the model's output is given: nothing runs."""
        ...

    def watched(self) -> AbstractContextManager[dict[str, Tensor]]:
        """Copies of all gated features of the steps that run inside, taken where the model makes them and not from `emit`."""
        ...


class FluxSeam:
    """A diffusers FluxTransformer2DModel bound to one batch of prompts and one schedule; an engine runs its blocks.

    Under true guidance (`true_cfg` not 1) the inputs hold 2 B rows, B with and B without the prompts; features have 2 B rows,
    latents and velocities B.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        inputs: dict[str, Tensor],
        times: list[float],
        dtype: torch.dtype,
        true_cfg: float = 1.0,
        operators: Operators | None = None,
        engine: Engine | None = None,
    ) -> None:
        self.model: Any = model
        self.engine = Modules(model) if engine is None else engine
        self.inputs = inputs
        self.times = times
        self.dtype = dtype
        self.true_cfg = true_cfg
        self.operators = operators
        self.wide = torch.promote_types(dtype, torch.float32)  # sums over features and steps are never coarser
        self._conditioning: dict[int, Tensor] = {}

    @property
    def exact(self) -> bool:
        return self.operators is None or self.operators.exact

    @property
    def device(self) -> torch.device:
        return self.inputs["pooled_projections"].device

    @property
    def features(self) -> list[str]:
        doubles = [f"double.{i}.{part}" for i in range(self.engine.doubles) for part in ("attn", "mlp")]
        return doubles + [f"single.{i}" for i in range(self.engine.singles)]

    @property
    def blocks(self) -> list[str]:
        return [f"block.{i}" for i in range(self.engine.doubles + self.engine.singles)]

    def full(self, step: int, x: Tensor, *, emit: Emit | None = None, names: Collection[str] | None = None) -> Tensor:
        with real_forward(self.operators, step):
            return self._run(step, x, emit, names)

    def _run(self, step: int, x: Tensor, emit: Emit | None, names: Collection[str] | None) -> Tensor:
        tap = _Tap(emit, self.features if names is None else names)
        entered, text, temb = self._entered(step, x)
        middle, text = self._doubles(entered, text, temb, tap)
        image = middle
        for i in range(self.engine.singles):
            before = image
            image, text, total = self.engine.single(i, image, text, temb, self._rope)
            tap.value(f"single.{i}", total)
            tap.added(f"block.{self.engine.doubles + i}", before, image)
        tap.added("singles", middle, image)
        tap.added("trunk", entered, image)
        output = self._head(image, temb)
        tap.value("output", output)
        return self._guided(output.to(self.wide))

    def gates(self, steps: Sequence[int]) -> Tensor:
        """One product per feature for all steps at once, whose conditioning is kept for `from_trunk`."""
        temb = self._embed_times(steps)
        rows = len(temb) // len(steps)
        self._conditioning |= dict(zip(steps, temb.split(rows), strict=True))
        chosen = []
        for block in self.model.transformer_blocks:
            hidden = block.norm1.silu(temb)
            chosen += [part_of(block.norm1.linear, hidden, part) for part in (2, 5)]  # of attention, of the MLP
        for block in self.model.single_transformer_blocks:
            chosen.append(part_of(block.norm.linear, block.norm.silu(temb), 2))
        return torch.stack(chosen).unflatten(1, (len(steps), rows)).transpose(0, 1)

    def from_trunk(self, step: int, x: Tensor, added: Tensor) -> Tensor:
        image = self.model.x_embedder(self._branched(x).to(self.dtype)).to(self.wide) + added
        temb = self._conditioning.get(step)
        return self._guided(self._head(image.to(self.dtype), self._embed_times([step]) if temb is None else temb).to(self.wide))

    def from_singles(self, step: int, x: Tensor, added: Tensor) -> Tensor:
        image, text, temb = self._entered(step, x)
        image, _ = self._doubles(image, text, temb, _Tap(None, ()))
        return self._guided(self._head((image.to(self.wide) + added).to(self.dtype), temb).to(self.wide))

    def from_output(self, step: int, x: Tensor, output: Tensor) -> Tensor:
        return self._guided(output.to(self.wide))

    def watched(self) -> AbstractContextManager[dict[str, Tensor]]:
        return self.engine.watched(text=self.inputs["encoder_hidden_states"].shape[1])

    def _entered(self, step: int, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Image, text and conditioning vector in front of the first block."""
        image = self.model.x_embedder(self._branched(x).to(self.dtype))
        return image, self.model.context_embedder(self.inputs["encoder_hidden_states"]), self._embed_times([step])

    def _doubles(self, image: Tensor, text: Tensor, temb: Tensor, tap: "_Tap") -> tuple[Tensor, Tensor]:
        for i in range(self.engine.doubles):
            before = image
            image, text, attention, mlp = self.engine.double(i, image, text, temb, self._rope)
            tap.value(f"double.{i}.attn", attention)
            tap.value(f"double.{i}.mlp", mlp)
            tap.added(f"block.{i}", before, image)
        return image, text

    def _head(self, image: Tensor, temb: Tensor) -> Tensor:
        out: Tensor = self.model.proj_out(self.model.norm_out(image, temb))
        return out

    @cached_property
    def _rope(self) -> Rope:
        rope: Rope = self.model.pos_embed(torch.cat([self.inputs["txt_ids"], self.inputs["img_ids"]]))
        return rope

    def _branched(self, x: Tensor) -> Tensor:
        return x if self.true_cfg == 1 else torch.cat([x, x])

    def _guided(self, v: Tensor) -> Tensor:
        """From the velocities without the prompts, past those with them."""
        if self.true_cfg == 1:
            return v
        cond, uncond = v.chunk(2)
        return uncond + self.true_cfg * (cond - uncond)

    def _embed_times(self, steps: Sequence[int]) -> Tensor:
        """The conditioning of every adaLN, (S * B, D); diffusers scales times and guidance by 1000 in the model's dtype."""
        pooled = self.inputs["pooled_projections"]
        own = [torch.full((len(pooled),), self.times[step], dtype=self.dtype, device=pooled.device) for step in steps]
        vectors = [torch.cat(own) * 1000]
        if "guidance" in self.inputs:
            vectors.append(self.inputs["guidance"].to(self.dtype).repeat(len(steps)) * 1000)
        temb: Tensor = self.model.time_text_embed(*vectors, pooled.repeat(len(steps), 1))
        return temb

    def own(self, step: int, x: Tensor) -> Tensor:
        """The velocity by the model's own forward, with whatever hooks of its library it carries."""
        inputs = self.inputs | {"hidden_states": self._branched(x).to(self.dtype)}
        if "guidance" in inputs:
            inputs["guidance"] = inputs["guidance"].to(self.dtype)
        rows = len(inputs["pooled_projections"])
        timestep = torch.full((rows,), self.times[step], dtype=self.dtype, device=self.device)
        with real_forward(self.operators, step):
            (output,) = self.model(**inputs, timestep=timestep, return_dict=False)
        return self._guided(output.to(self.wide))


def part_of(linear: Any, hidden: Tensor, part: int) -> Tensor:
    """One of the equal parts, as wide as the input, of what a Linear gives; only its weights are read."""
    width = hidden.shape[-1]
    rows = slice(part * width, (part + 1) * width)
    return nn.functional.linear(hidden, linear.weight[rows], linear.bias[rows])


class _Tap:
    """What of a full step goes to `emit`: the values that are named."""

    def __init__(self, emit: Emit | None, names: Collection[str]) -> None:
        self.emit = emit
        self.names = frozenset(names if emit else ())

    def value(self, name: str, value: Tensor) -> None:
        if self.emit and name in self.names:
            self.emit(name, value)

    def added(self, name: str, before: Tensor, after: Tensor) -> None:
        """What a stretch of blocks did to the stream, in the stream's own format, which its parts have had too."""
        if self.emit and name in self.names:
            self.emit(name, after - before)
