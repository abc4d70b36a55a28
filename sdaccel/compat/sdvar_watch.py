"""What SDVAR's documents want to see of every call: shapes, a check of them and of values, everything kept in a file.

B pictures · K scales · p_k side of scale k · V codes
"""

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save_file
from torch import Tensor

from sdaccel.errors import BadInput, reason

if TYPE_CHECKING:
    from sdaccel.compat.sdvar import SDVARInferenceState
    from sdaccel.generators.var.generator import VarRuntime


@dataclass(frozen=True, kw_only=True)
class Watch:
    """What becomes of a call's intermediates; nothing unless asked for."""

    verbose: bool = False
    """Print a line of shapes per scale."""
    debug: bool = False
    """Raise RuntimeError at the first scale whose tokens and canvas do not belong together."""
    save_to: Path | str | None = None
    """A folder that gets a .safetensors file per call, numbered behind those that are there."""

    def __post_init__(self) -> None:
        if self.save_to is None:
            return
        try:
            Path(self.save_to).mkdir(parents=True, exist_ok=True)
        except (OSError, TypeError) as error:
            raise BadInput(f"save_to={self.save_to} cannot be a folder ({reason(error)}); name another one.") from None
        if not os.access(self.save_to, os.W_OK):
            raise BadInput(f"save_to={self.save_to} cannot be written to; name another folder.")

    def seen(self, name: str, state: "SDVARInferenceState", images: Tensor, target: "VarRuntime") -> None:
        """One call has ended."""
        if self.verbose:
            print("\n".join([f"{name}: images {tuple(images.shape)}", *shapes(state)]))
        if self.debug and (found := fault(state, images, target)):
            raise RuntimeError(f"{name}: {found}")
        self.save(name, intermediates(state) | {"images": images})

    def save(self, name: str, tensors: dict[str, Tensor]) -> None:
        if self.save_to is None:
            return
        free = next(
            path for n in itertools.count() if not (path := Path(self.save_to) / f"{name}-{n:04d}.safetensors").exists()
        )
        save_file({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, free)


def shapes(state: "SDVARInferenceState") -> list[str]:
    """A line per scale."""
    canvas = tuple(state.target_f_hat[:, 0].shape)
    return [
        f"scale {k}: {side} x {side}, tokens {tuple(tokens.shape)}, canvas {canvas}"
        for k, (side, tokens) in enumerate(zip(state.patch_nums, state.accepted_tokens, strict=True))
    ]


def intermediates(state: "SDVARInferenceState") -> dict[str, Tensor]:
    """Tokens of every scale, the canvas after every scale, what was counted."""
    tokens = {f"tokens.{k}": tokens for k, tokens in enumerate(state.accepted_tokens)}
    return tokens | {name: getattr(state, name) for name in ("target_f_hat", "target_calls", "accept_count", "reject_count")}


@torch.no_grad()
def fault(state: "SDVARInferenceState", images: Tensor, target: "VarRuntime") -> str | None:
    """The first thing that is wrong; every canvas must be what the tokens up to its scale paint."""
    rows, smooth = len(images), bool(state.sampling["more_smooth"])
    canvas = target.vae.canvas(target.config.layout, rows=rows)
    for k, (side, tokens) in enumerate(zip(state.patch_nums, state.accepted_tokens, strict=True)):
        if tokens.shape != (rows, side**2):
            return f"scale {k} has tokens of shape {tuple(tokens.shape)}, not {(rows, side**2)}."
        if tokens.min() < 0 or tokens.max() >= target.config.vocab:
            return f"scale {k} has tokens {int(tokens.min())} .. {int(tokens.max())}, outside 0 .. {target.config.vocab - 1}."
        canvas.add(target.vae.quantize.embedding.weight[tokens])
        if not smooth and not torch.allclose(canvas.f_hat, state.target_f_hat[:, k].to(canvas.f_hat), rtol=1e-2, atol=1e-2):
            return f"scale {k} has a canvas that its tokens and those before it do not paint."
    if not (torch.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
        return f"images reach from {float(images.min()):.3g} to {float(images.max()):.3g}, outside 0 .. 1."
    return None
