"""Files of a trained FLUX: transformer and autoencoder; nothing is built before they fit."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from sdaccel.shipped import resolve
from sdaccel.weight_files import check_manifest, open_weights

TRANSFORMER, VAE = "generator.weights", "generator.vae_weights"


def check_trained(option: str, value: str, make: Callable[[], nn.Module]) -> None:
    """Raise BadInput unless the file holds the model that `make` makes."""
    with torch.device("meta"):
        model = make()
    check_manifest(open_weights(resolve(value), option=option), model)


def load_trained(option: str, value: str, make: Callable[[], nn.Module], *, device: torch.device, dtype: torch.dtype) -> Any:
    """The model with the parameters of the file, which was checked."""
    file = open_weights(resolve(value), option=option)
    with torch.device("meta"):
        model = make()
    check_manifest(file, model)
    state = {name: value.to(device, dtype, copy=True) for name, value in file.load().items()}
    model.load_state_dict(state, assign=True)
    return model.requires_grad_(False).eval()
