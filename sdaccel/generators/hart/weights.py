"""Official files of HART: a folder with `llm/` and `tokenizer/`, or one file each; nothing is allocated before they fit.

Nothing of a folder is run: config.json is read as text, weights as tensors.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch

from sdaccel.errors import BadInput
from sdaccel.generators.hart.model import EPS, HART, Geometry
from sdaccel.generators.nextscale.tokenizer.vqvae import VQVAE
from sdaccel.generators.nextscale.weights import check_manifest, load_vae, materialise
from sdaccel.generators.published import Settings, Source, check_settings, locate
from sdaccel.shipped import PREFIX, resolve
from sdaccel.weight_files import Shapes, WeightFile, open_weights

REPOSITORY = "mit-han-lab/hart-0.7b-1024px"
LAYOUTS = "a folder with llm/ and tokenizer/, a weight file, shipped:NAME"
EMA = "ema_model.bin"
"""The average of training's weights, which the official samples are drawn with."""
PLAIN = ("pytorch_model.bin", "model.safetensors")
FOLLOWS = ("lvl_1L", "attn_bias_for_masking")
"""Buffers of the transformer that follow from the layout, 380 MB of them at the official size: never read."""
COUNTERS = "quantize.ema_vocab_hit_SV"
OTHER = "it is another model than HART"

T = TypeVar("T")


def source(option: str, value: str) -> Source:
    """Where the files of an option are: a folder, a file, or a repository in the hub's cache."""
    if value.startswith(PREFIX):
        return Source(option, value, resolve(value), REPOSITORY)
    return locate(option, value, repository=REPOSITORY, layouts=LAYOUTS)


def sources(transformer: str, tokenizer: str | None) -> tuple[Source, Source]:
    """Of both; the tokenizer comes with a folder."""
    first = source("generator.weights", transformer)
    if tokenizer is not None:
        return first, source("generator.vae_weights", tokenizer)
    if first.path.is_file():
        raise BadInput(
            f"generator.vae_weights is not given and generator.weights={transformer} is a file of the transformer alone; give "
            "the tokenizer's file too, or a folder with both."
        )
    return first, first


def transformer_path(source: Source, *, ema: bool) -> Path:
    return _first(source, "llm", (EMA, *PLAIN) if ema else PLAIN)


def vae_path(source: Source) -> Path:
    return _first(source, "tokenizer", PLAIN)


def _first(source: Source, folder: str, names: Sequence[str]) -> Path:
    """The first of these that the folder has; a file is itself."""
    if source.path.is_file():
        return source.path
    found = [source.path / folder / name for name in names if (source.path / folder / name).is_file()]
    if not found:
        raise source.lacks(f"{folder}/{names[0]}")
    return found[0]


def check_transformer(source: Source, geometry: Geometry, *, ema: bool) -> tuple[WeightFile, HART]:
    """The file and the model without storage; BadInput unless the file holds this model, residual head included."""
    if source.path.is_dir():
        check_settings(source, "llm/config.json", _settings(geometry))
    file = open_weights(transformer_path(source, ema=ema), option=source.option)
    check_geometry(file, geometry)
    with torch.device("meta"):
        model = HART(geometry)
    own = renamed(file, lambda name: None if name in FOLLOWS else name)
    check_manifest(own, model)
    return own, model


def load_transformer(source: Source, geometry: Geometry, *, ema: bool, device: torch.device, dtype: torch.dtype) -> HART:
    """The checked transformer on the device."""
    file, model = check_transformer(source, geometry, ema=ema)
    materialise(model, file.load(), device=device, dtype=dtype)
    return model


def check_tokenizer(source: Source, model: VQVAE) -> None:
    """Raise BadInput unless the file holds this autoencoder; `model` is on the meta device."""
    check_manifest(_tokenizer(source, model), model)


def load_tokenizer(source: Source, model: VQVAE, *, device: torch.device, dtype: torch.dtype) -> VQVAE:
    """The checked autoencoder on the device; `model` is on the meta device."""
    return load_vae(_tokenizer(source, model), model, device=device, dtype=dtype)


def _tokenizer(source: Source, model: VQVAE) -> WeightFile:
    """The autoencoder's part of the file: published ones hold it as `vae.*`, beside the discriminator of its training."""
    if source.path.is_dir() and (source.path / "tokenizer/config.json").is_file():
        check_settings(source, "tokenizer/config.json", _of_tokenizer(model))
    file = open_weights(vae_path(source), option=source.option)
    outer = "vae." if any(name.startswith("vae.") for name in file.shapes) else ""

    def own(name: str) -> str | None:
        inner = name.removeprefix(outer)
        return None if inner == COUNTERS or not name.startswith(outer) else inner

    return renamed(file, own)


def renamed(file: WeightFile, rule: Callable[[str], str | None]) -> WeightFile:
    """The file's tensors by the names that a rule gives them; those without one are not read."""

    def own(found: Mapping[str, T]) -> dict[str, T]:
        return {name: value for old, value in found.items() if (name := rule(old)) is not None}

    return replace(file, shapes=own(file.shapes), load=lambda: own(file.load()))


def check_geometry(file: WeightFile, geometry: Geometry) -> None:
    """Sizes of a file against the config, in words a user can act on."""
    for name, theirs in sizes(file).items():
        if theirs != (ours := getattr(geometry, name)):
            raise file.refuse(
                f"the file has {name}={theirs}, the config {name}={ours}", f"set generator.{name}={theirs} or give another file"
            )
    rows, wanted = file.shapes.get("lvl_1L", (0,))[-1], geometry.layout.row_start(geometry.layout.scales)
    if rows not in (0, wanted):
        raise file.refuse(
            f"the file was trained on {rows} rows of text and tokens, context_tokens={geometry.context_tokens} and patch_nums="
            f"{list(geometry.patch_nums)} make {wanted}",
            "set both, and image_size, to what it was trained on",
        )


def sizes(file: WeightFile) -> dict[str, int]:
    """What names and shapes tell, by option; the number of heads leaves no trace there."""
    told = {
        "embed_dim": ("word_embed.weight", 0),
        "Cvae": ("word_embed.weight", 1),
        "context_width": ("context_embed.weight", 1),
        "vocab": ("head.weight", 0),
        "hidden": ("blocks.0.ffn.up_proj.weight", 0),
        "head_width": ("diffloss.net.input_proj.weight", 0),
    }
    for key, _ in told.values():
        if len(file.shapes.get(key, ())) != 2:
            raise file.refuse(f"key {key} is missing or no matrix", f"give a HART transformer such as llm/{EMA}")
    counted = {name: _count(file.shapes, prefix) for name, prefix in (("depth", "blocks."), ("head_depth", RES_BLOCKS))}
    return counted | {name: file.shapes[key][axis] for name, (key, axis) in told.items()}


RES_BLOCKS = "diffloss.net.res_blocks."


def _count(shapes: Shapes, prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in shapes if name.startswith(prefix)})


def _settings(geometry: Geometry) -> Settings:
    """What llm/config.json must say: sizes, and what leaves no trace in names and shapes."""
    g = geometry
    own = {
        "depth": (g.depth, "depth"),
        "embed_dim": (g.embed_dim, "embed_dim"),
        "num_heads": (g.heads, "heads"),
        "patch_nums": (list(g.patch_nums), "patch_nums"),
        "context_token": (g.context_tokens, "context_tokens"),
        "context_dim": (g.context_width, "context_width"),
        "diff_width": (g.head_width, "head_width"),
        "diff_depth": (g.head_depth, "head_depth"),
    }
    fixed = {
        "attn_type": "llama",
        "mlp_type": "llama",
        "disable_aln": True,
        "shared_aln": False,
        "use_cross_attn": False,
        "attn_l2_norm": False,
        "use_timestep_embed": True,
        "use_context_norm": True,
        "sampler": "iddpm",
        "norm_eps": EPS,
    }
    mine = {key: (value, f"set generator.{option}") for key, (value, option) in own.items()}
    return mine | {key: (value, OTHER) for key, value in fixed.items()}


def _of_tokenizer(model: VQVAE) -> Settings:
    """What tokenizer/config.json must say."""
    vocab = model.quantize.embedding.num_embeddings
    return {
        "quantizer_type": ("var_hybrid", OTHER),
        "vocab_size": (vocab, "set generator.vocab"),
        "z_channels": (model.Cvae, "set generator.Cvae"),
    }
