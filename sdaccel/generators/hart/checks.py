"""What a HART's options must be, before anything is built."""

import math
from typing import TYPE_CHECKING

from sdaccel.errors import BadInput, at_least
from sdaccel.generators.base import torch_dtype
from sdaccel.generators.hart.diffusion import BASE_STEPS
from sdaccel.generators.hart.engine import ENGINES
from sdaccel.generators.nextscale.layout import check_patch_nums
from sdaccel.generators.nextscale.tokenizer import vqvae

if TYPE_CHECKING:
    from sdaccel.generators.hart.generator import Hart

SIZES = ("depth", "embed_dim", "heads", "hidden", "context_tokens", "context_width", "head_width", "head_depth")
FILES = ("weights", "vae_weights", "text_weights")


def check_options(config: "Hart") -> None:
    """Raise BadInput for options that make no model."""
    _check_engine(config)
    _check_sizes(config)
    if not 1 <= config.head_steps <= BASE_STEPS:
        raise BadInput(f"generator.head_steps={config.head_steps} is outside 1 .. {BASE_STEPS}, the steps of its chain.")
    if not (math.isfinite(config.cfg) and config.cfg >= 0):
        raise BadInput(f"generator.cfg={config.cfg} must be a finite number >= 0.")


def _check_engine(config: "Hart") -> None:
    half = torch_dtype(config.dtype).itemsize == 2
    if config.engine not in ENGINES:
        raise BadInput(f"generator.engine={config.engine} is unknown; choose one of {', '.join(ENGINES)}.")
    if config.engine == "autocast" and not half:
        raise BadInput(
            f"generator.engine=autocast casts to half precision, and generator.dtype={config.dtype} is none; set "
            "generator.dtype=float16 or bfloat16."
        )


def _check_sizes(config: "Hart") -> None:
    at_least(1, config, *SIZES, where="generator")
    vqvae.check_sizes(config)
    if config.embed_dim % config.heads:
        raise BadInput(
            f"generator.heads={config.heads} does not divide generator.embed_dim={config.embed_dim}; choose a divisor."
        )
    if (each := config.embed_dim // config.heads) % 4:
        raise BadInput(
            f"generator.embed_dim={config.embed_dim} and heads={config.heads} make heads of {each}, and "
            "positions need a multiple of 4 (a row's and a column's angle, twice); choose other sizes."
        )
    check_patch_nums(config.patch_nums, image_size=config.image_size, factor=2 ** (len(config.ch_mult) - 1))


def check_given(config: "Hart") -> None:
    """Raise BadInput for files that come without the others."""
    given = [name for name in FILES if getattr(config, name) is not None]
    if given and config.weights is None:
        raise BadInput(
            f"generator.{given[0]} is given and generator.weights is not; a trained and a random part make noise, so give all "
            f"of {', '.join(FILES)}, or none."
        )
    if config.weights is not None and config.text_weights is None:
        raise BadInput(
            "generator.weights is given and generator.text_weights is not; a trained model reads what it was trained on, so "
            "give its text encoder too, or neither."
        )
