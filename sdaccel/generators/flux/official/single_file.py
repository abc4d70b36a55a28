"""The published single files, flux1-dev.safetensors and ae.safetensors: which of their keys hold which of the model's.

A layout maps a key of the file to the keys of the model whose rows it holds, one after another. So a file is checked in its
own names, and one rule converts both kinds.
"""

import re
from collections.abc import Iterator

import torch
from torch import Tensor

from sdaccel.weight_files import Shapes

Layout = dict[str, tuple[str, ...]]
HALVES_SWAPPED = "final_layer.adaLN_modulation.1"
"""The file holds (shift, scale) where diffusers' layer has (scale, shift)."""
OUTSIDE = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in": "time_text_embed.timestep_embedder",
    "vector_in": "time_text_embed.text_embedder",
    "guidance_in": "time_text_embed.guidance_embedder",
    "final_layer.linear": "proj_out",
    HALVES_SWAPPED: "norm_out.linear",
}
DOUBLE = {
    "img_mod.lin": ("norm1.linear",),
    "txt_mod.lin": ("norm1_context.linear",),
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.net.0.proj",),
    "img_mlp.2": ("ff.net.2",),
    "txt_mlp.0": ("ff_context.net.0.proj",),
    "txt_mlp.2": ("ff_context.net.2",),
}
DOUBLE_NORMS = {
    "img_attn.norm.query_norm": "attn.norm_q",
    "img_attn.norm.key_norm": "attn.norm_k",
    "txt_attn.norm.query_norm": "attn.norm_added_q",
    "txt_attn.norm.key_norm": "attn.norm_added_k",
}
SINGLE = {
    "modulation.lin": ("norm.linear",),
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
}
SINGLE_NORMS = {"norm.query_norm": "attn.norm_q", "norm.key_norm": "attn.norm_k"}
AUTOENCODER = (
    (r"(down|up)_blocks\.(\d+)\.resnets\.(\d+)", r"\1.\2.block.\3"),
    (r"(down|up)_blocks\.(\d+)\.(down|up)samplers\.0", r"\1.\2.\3sample"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
    (r"attn_1\.group_norm", "attn_1.norm"),
    (r"attn_1\.to_out\.0", "attn_1.proj_out"),
    (r"attn_1\.to_([qkv])", r"attn_1.\1"),
)
"""Names of diffusers' AutoencoderKL, and of the file."""


def transformer_layout(*, doubles: int, singles: int, guidance_embeds: bool) -> Layout:
    """Of flux1-*.safetensors."""
    rows: Layout = {}
    for theirs, ours in OUTSIDE.items():
        if theirs == "guidance_in" and not guidance_embeds:
            continue
        for part, linear in (("in_layer", "linear_1"), ("out_layer", "linear_2")) if "time_text" in ours else (("", ""),):
            rows |= _linear(f"{theirs}.{part}".rstrip("."), (f"{ours}.{linear}".rstrip("."),))
    blocks = [(f"double_blocks.{i}.", f"transformer_blocks.{i}.", DOUBLE, DOUBLE_NORMS) for i in range(doubles)]
    blocks += [(f"single_blocks.{i}.", f"single_transformer_blocks.{i}.", SINGLE, SINGLE_NORMS) for i in range(singles)]
    for before, after, linears, norms in blocks:
        for name, parts in linears.items():
            rows |= _linear(before + name, tuple(after + part for part in parts))
        rows |= {f"{before}{theirs}.scale": (f"{after}{ours}.weight",) for theirs, ours in norms.items()}
    return rows


def _linear(theirs: str, ours: tuple[str, ...]) -> Layout:
    return {f"{theirs}.{kind}": tuple(f"{part}.{kind}" for part in ours) for kind in ("weight", "bias")}


def autoencoder_layout(shapes: Shapes, *, levels: int) -> Layout:
    """Of ae.safetensors, from the names in the model: levels of the decoder are counted from the other end."""
    return {_of_autoencoder(name, levels): (name,) for name in shapes}


def _of_autoencoder(name: str, levels: int) -> str:
    for pattern, theirs in AUTOENCODER:
        name = re.sub(pattern, theirs, name)
    name = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", name)
    return re.sub(r"up\.(\d+)", lambda m: f"up.{levels - 1 - int(m[1])}", name)


def expected(layout: Layout, shapes: Shapes) -> Shapes:
    """Names and shapes of the file, from those of the model."""
    return {key: _shape(key, [shapes[part] for part in parts]) for key, parts in layout.items()}


def _shape(key: str, parts: list[tuple[int, ...]]) -> tuple[int, ...]:
    rows = sum(part[0] for part in parts)
    pixel = (1, 1) if ".attn_1." in key and len(parts[0]) == 2 else ()  # a linear layer written as a 1 x 1 convolution
    return (rows, *parts[0][1:], *pixel)


def converted(layout: Layout, state: dict[str, Tensor], shapes: Shapes) -> Iterator[tuple[str, Tensor]]:
    """The model's keys with their tensors; empties `state` on the way, for the memory."""
    for key, parts in layout.items():
        whole = state.pop(key)
        if key.startswith(HALVES_SWAPPED):
            whole = torch.cat(whole.chunk(2)[::-1])
        for part, rows in zip(parts, whole.split([shapes[part][0] for part in parts]), strict=True):
            yield part, rows.reshape(shapes[part])
