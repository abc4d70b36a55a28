"""Official weight files: read, compared with the model's own manifest, and only then loaded.

The manifest is the state dict of the model built on the meta device; nothing is allocated before a file is known to fit.
"""

from pathlib import Path

import torch

from sdaccel.generators.nextscale.weights import check_manifest, materialise
from sdaccel.generators.var.model import HEAD_DIM, VAR, Geometry
from sdaccel.weight_files import Shapes, WeightFile, open_weights


def var_file(path: Path) -> WeightFile:
    return open_weights(path, option="generator.weights", wrapped_as="var_wo_ddp")


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


def check_var(file: WeightFile, geometry: Geometry) -> None:
    """Raise BadInput unless the file fits the transformer."""
    check_geometry(file, geometry)
    with torch.device("meta"):
        model = VAR(geometry)
    check_manifest(file, model)


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
