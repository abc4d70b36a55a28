"""Official weight files: read, compared with the model's own manifest, and only then loaded.

The manifest is the state dict of the model built on the meta device; nothing is allocated before a file is known to fit.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from sdaccel import weight_files
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.var.model import HEAD_DIM, VAR, Geometry
from sdaccel.weight_files import Shapes, WeightFile, open_weights

FREE_ROWS = "quantize.ema_vocab_hit_SV"
"""Usage counters: published files hold one row per training scale, which need not be this layout's."""


def var_file(path: Path) -> WeightFile:
    return open_weights(path, option="generator.weights", wrapped_as="var_wo_ddp")


def vae_file(path: Path) -> WeightFile:
    return open_weights(path, option="generator.vae_weights", wrapped_as="vae_local")


def infer_geometry(shapes: Shapes, patch_nums: tuple[int, ...]) -> Geometry:
    """The geometry that the shapes of a VAR state dict tell; they hold K and L of the scales, not the sides."""
    blocks = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
    return Geometry(
        depth=len(blocks),
        patch_nums=patch_nums,
        num_classes=shapes["class_emb.weight"][0] - 1,
        vocab=shapes["head.weight"][0],
        Cvae=shapes["word_embed.weight"][1],
        shared_aln="shared_ada_lin.1.weight" in shapes,
    )


def check_geometry(file: WeightFile, geometry: Geometry) -> None:
    """Depth, width, adaLN kind and layout of a VAR file against the config, in words a user can act on."""
    needed = ("class_emb.weight", "head.weight", "word_embed.weight", "lvl_embed.weight", "pos_1LC")
    for name in needed:
        if len(file.shapes.get(name, ())) < 2:
            raise file.refuse(f"key {name} is missing or no matrix", "give a VAR transformer file such as var_d16.pth")
    found = infer_geometry(file.shapes, geometry.patch_nums)
    for name in ("depth", "shared_aln", "num_classes", "vocab", "Cvae"):
        theirs, ours = getattr(found, name), getattr(geometry, name)
        if theirs != ours:
            raise file.refuse(
                f"the file has {name}={theirs}, the config {name}={ours}", f"set generator.{name}={theirs} or give another file"
            )
    width = file.shapes["pos_1LC"][-1]
    if width != geometry.width:
        raise file.refuse(
            f"the file is {width} wide, depth {geometry.depth} is {geometry.width}", f"width must be {HEAD_DIM} x depth"
        )
    layout = file.shapes["lvl_embed.weight"][0], file.shapes["pos_1LC"][1]
    wanted = geometry.layout.scales, geometry.layout.row_start(geometry.layout.scales)
    if layout != wanted:
        raise file.refuse(
            f"the file was made for {layout[0]} scales of {layout[1]} tokens in all, patch_nums={list(geometry.patch_nums)} is "
            f"{wanted[0]} of {wanted[1]}",
            "set generator.image_size or patch_nums to the layout of the file",
        )


def check_manifest(file: WeightFile, model: nn.Module) -> None:
    """The file holds this model; the usage counters may have other rows."""
    weight_files.check_manifest(file, model, free_rows=[FREE_ROWS])


def check_var(file: WeightFile, geometry: Geometry) -> None:
    """Raise BadInput unless the file fits the transformer."""
    check_geometry(file, geometry)
    with torch.device("meta"):
        model = VAR(geometry)
    check_manifest(file, model)


def materialise(model: VAR | VQVAE, state: dict[str, Tensor], *, device: torch.device, dtype: torch.dtype) -> None:
    """Give a model built on the meta device its own buffers and the parameters of `state`, which is emptied to save memory."""
    # A copy, never the mapped file itself: what runs must not change when the file does.
    loaded = {name: state.pop(name).to(device, dtype, copy=True) for name, _ in model.named_parameters()}
    for name, value in model.constants().items():
        loaded[name] = value.to(device, dtype if value.is_floating_point() else value.dtype)
    model.load_state_dict(loaded, assign=True)
    model.requires_grad_(False).eval()


def load_var(file: WeightFile, geometry: Geometry, *, device: torch.device, dtype: torch.dtype) -> VAR:
    """The checked transformer on the device."""
    check_var(file, geometry)
    with torch.device("meta"):
        model = VAR(geometry)
    state = file.load()
    levels = state.get("lvl_1L")
    if levels is not None and not torch.equal(levels, model.constants()["lvl_1L"]):
        raise file.refuse(
            f"lvl_1L belongs to other sides than patch_nums={list(geometry.patch_nums)}", "set generator.patch_nums"
        )
    materialise(model, state, device=device, dtype=dtype)
    return model


def load_vae(file: WeightFile, model: VQVAE, *, device: torch.device, dtype: torch.dtype) -> VQVAE:
    """The checked autoencoder on the device; `model` is on the meta device."""
    check_manifest(file, model)
    materialise(model, file.load(), device=device, dtype=dtype)
    return model
