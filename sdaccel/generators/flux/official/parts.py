"""Transformer and autoencoder in published files: checked in the file's own names, then loaded tensor by tensor."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from sdaccel.generators.flux.official.single_file import Layout, autoencoder_layout, converted, expected, transformer_layout
from sdaccel.generators.published import Settings, Source, check_settings, opened
from sdaccel.weight_files import Shapes, WeightFile, check_shapes, shapes_of


@dataclass(frozen=True)
class Part:
    """One model's weights on disk."""

    files: Sequence[Path]
    file: WeightFile
    """All of them as one."""
    shapes: Shapes
    """The model's own manifest."""
    layout: Layout | None
    """How a published single file holds them; None where the names are the model's."""

    def check(self) -> None:
        """Raise BadInput unless the file holds this model."""
        check_shapes(self.file, expected(self.layout, self.shapes) if self.layout else self.shapes)

    def into(self, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> None:
        """The weights as the parameters of a model on the meta device."""
        self.check()
        state = self.file.load()
        pairs = converted(self.layout, state, self.shapes) if self.layout else _drained(state)
        # A copy, never the mapped file itself: what runs must not change when the file does.
        model.load_state_dict({name: value.to(device, dtype, copy=True) for name, value in pairs}, assign=True)


def _drained(state: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """The pairs; each is gone from `state` when the next is taken, for the memory."""
    while state:
        yield state.popitem()


def transformer_part(source: Source, model: nn.Module, *, settings: Settings, single_file: str) -> Part:
    """transformer/ of a folder, or the published single file."""
    files = _found(source, "transformer", single_file, settings)
    file, shapes = opened(source, files), shapes_of(model)
    if "img_in.weight" not in file.shapes:
        return Part(files, file, shapes, None)
    doubles, singles, guided = (settings[key][0] for key in ("num_layers", "num_single_layers", "guidance_embeds"))
    return Part(files, file, shapes, transformer_layout(doubles=doubles, singles=singles, guidance_embeds=guided))


def autoencoder_part(source: Source, model: nn.Module, *, settings: Settings) -> Part:
    """vae/ of a folder, or ae.safetensors."""
    files = _found(source, "vae", "ae.safetensors", settings)
    file, shapes = opened(source, files), shapes_of(model)
    if "encoder.norm_out.weight" not in file.shapes:
        return Part(files, file, shapes, None)
    return Part(files, file, shapes, autoencoder_layout(shapes, levels=len(settings["block_out_channels"][0])))


def _found(source: Source, folder: str, single_file: str, settings: Settings) -> list[Path]:
    if source.path.is_file():
        return [source.path]
    if not (source.path / folder).is_dir() and (source.path / single_file).is_file():
        return [source.path / single_file]
    check_settings(source, f"{folder}/config.json", settings)
    return source.weights(f"{folder}/diffusion_pytorch_model")
