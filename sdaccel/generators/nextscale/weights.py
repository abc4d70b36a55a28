"""Weights of next-scale models: the tokenizer's files, and parameters for a model that was built without storage."""

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from sdaccel import weight_files
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.weight_files import WeightFile, open_weights

FREE_ROWS = "quantize.ema_vocab_hit_SV"
"""Usage counters: published files hold one row per training scale, which need not be this layout's."""


def vae_file(path: Path) -> WeightFile:
    return open_weights(path, option="generator.vae_weights", wrapped_as="vae_local")


def check_manifest(file: WeightFile, model: nn.Module) -> None:
    """The file holds this model; the usage counters may have other rows."""
    weight_files.check_manifest(file, model, free_rows=[FREE_ROWS])


class WithConstants(Protocol):
    """A module whose buffers follow from its sizes, so that a checkpoint need not hold them."""

    def constants(self) -> dict[str, Tensor]: ...


def materialise(model: WithConstants, state: dict[str, Tensor], *, device: torch.device, dtype: torch.dtype) -> None:
    """Give a model built on the meta device its own buffers and the parameters of `state`, which is emptied to save memory."""
    assert isinstance(model, nn.Module)
    # A copy, never the mapped file itself: what runs must not change when the file does.
    loaded = {name: state.pop(name).to(device, dtype, copy=True) for name, _ in model.named_parameters()}
    for name, value in model.constants().items():
        loaded[name] = value.to(device, dtype if value.is_floating_point() else value.dtype)
    model.load_state_dict(loaded, assign=True)
    model.requires_grad_(False).eval()


def load_vae(file: WeightFile, model: VQVAE, *, device: torch.device, dtype: torch.dtype) -> VQVAE:
    """The checked autoencoder on the device; `model` is on the meta device."""
    check_manifest(file, model)
    materialise(model, file.load(), device=device, dtype=dtype)
    return model
