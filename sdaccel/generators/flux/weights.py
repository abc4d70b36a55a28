"""Files of a trained FLUX: transformer, autoencoder, and an open_clip folder for the text; nothing is built before they fit."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sdaccel.errors import BadInput, reason
from sdaccel.generators.flux.text import TextTower
from sdaccel.shipped import OPEN_CLIP, resolve
from sdaccel.user_files import json_of
from sdaccel.weight_files import NONSENSE, check_manifest, open_weights
from sdaccel.world.captions import VOCAB

TRANSFORMER, VAE, TEXT = "generator.weights", "generator.vae_weights", "generator.text_weights"


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


def text_files(value: str) -> list[Path]:
    """Configuration and weights in the open_clip folder."""
    folder = resolve(value)
    for name in OPEN_CLIP:
        if not os.path.isfile(folder / name):  # Path.is_file raises for a name that is too long
            raise BadInput(
                f"{TEXT}={value}: {name} is not there; give a folder that open_clip reads as local-dir, or shipped:clip_mini."
            )
    return [folder / name for name in OPEN_CLIP]


def meta_clip(value: str) -> Any:
    """The folder's model without storage."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before open_clip)
    from open_clip.model import CLIP

    path = text_files(value)[0]
    config = json_of(path, option=TEXT, fix="give another folder")
    try:
        with torch.device("meta"):
            return CLIP(**config["model_cfg"])
    except NONSENSE as error:
        raise BadInput(f"{TEXT}={value}: {path.name} describes no CLIP model ({reason(error)}); give another folder.") from None


def check_text(value: str, *, tokens: int, width: int, pooled: int) -> None:
    """Raise BadInput unless the folder holds a text tower of these sizes over the words of the small world."""
    clip = meta_clip(value)
    check_manifest(open_weights(text_files(value)[1], option=TEXT), clip)
    rows = (
        ("words", clip.token_embedding.weight.shape[0], len(VOCAB), "train it on the words of the small world"),
        ("generator.text_tokens", clip.positional_embedding.shape[0], tokens, None),
        ("generator.text_width", clip.positional_embedding.shape[1], width, None),
        ("generator.pooled_width", clip.text_projection.shape[1], pooled, None),
    )
    for name, theirs, ours, fix in rows:
        if theirs != ours:
            raise BadInput(f"{TEXT}={value} has {theirs} where {name} is {ours}; {fix or f'set {name}={theirs}'}.")


def meta_tower(value: str) -> TextTower:
    """The text tower without storage, for its price."""
    return TextTower(meta_clip(value))
