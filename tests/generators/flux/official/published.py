"""A FluxPipeline of a few thousand random parameters, written the way FLUX.1 is published."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import sdaccel.torchvision_guard  # noqa: F401

# isort: split
import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from safetensors.torch import save_file
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from sdaccel.generators.flux.official.generator import OfficialFlux
from sdaccel.generators.flux.official.single_file import Layout, autoencoder_layout, expected, transformer_layout
from sdaccel.generators.flux.runtime import random_init
from sdaccel.weight_files import Shapes, shapes_of

DEV = OfficialFlux(
    doubles=1,
    singles=2,
    heads=2,
    head_dim=16,
    axes=[4, 6, 6],
    text_tokens=24,
    text_width=32,
    pooled_width=24,
    height=32,
    width=48,
    vae_widths=[32, 64, 32],
    latent_channels=4,
    num_steps=4,
    dtype="float32",
)
"""Not square, and no two widths that could be mixed up."""
SCHNELL = replace(DEV, guidance_embeds=False, shifted=False)
PROMPTS = ("a red cat", "two dogs in a bed")
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]


def pipeline(config: OfficialFlux) -> Any:
    """diffusers' own, with random weights."""
    shape, widths = config.shape, config.vae_widths or []
    transformer: Any = FluxTransformer2DModel(
        in_channels=shape.channels,
        num_layers=shape.doubles,
        num_single_layers=shape.singles,
        attention_head_dim=shape.head_dim,
        num_attention_heads=shape.heads,
        joint_attention_dim=shape.text_width,
        pooled_projection_dim=shape.pooled_width,
        guidance_embeds=shape.guidance_embeds,
        axes_dims_rope=tuple(shape.axes),
    )
    vae: Any = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=tuple(widths),
        layers_per_block=2,
        latent_channels=config.latent_channels,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.1159,
        scaling_factor=0.3611,
    )
    clip, t5 = text_encoders(config)
    for seed, model in enumerate((transformer, vae, clip, t5)):
        random_init(model, seed=seed)
    clip_words, t5_words = tokenizers()
    scheduler: Any = FlowMatchEulerDiscreteScheduler(shift=3.0 if config.shifted else 1.0, use_dynamic_shifting=config.shifted)
    made: Any = FluxPipeline(
        scheduler=scheduler,
        vae=vae,
        text_encoder=clip,
        tokenizer=clip_words,
        text_encoder_2=t5,
        tokenizer_2=t5_words,
        transformer=transformer,
    )
    made.set_progress_bar_config(disable=True)
    return made


def tokenizers() -> tuple[Any, Any]:
    """Letter by letter, but for one word that T5 knows."""
    pieces = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    clip: Any = CLIPTokenizer(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], model_max_length=12)
    t5: Any = T5Tokenizer(
        vocab=[("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), ("▁cat", -1.0), *((c, -3.0) for c in LETTERS)],
        extra_ids=0,
    )
    return clip, t5


def text_encoders(config: OfficialFlux) -> tuple[Any, Any]:
    clip = CLIPTextConfig(
        vocab_size=54,
        hidden_size=config.shape.pooled_width,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=12,
        bos_token_id=52,
        eos_token_id=53,
        pad_token_id=53,
    )
    t5 = T5Config(
        vocab_size=31,
        d_model=config.text_width,
        d_ff=48,
        d_kv=8,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    return CLIPTextModel(clip).eval(), T5EncoderModel(t5).eval()


def single_files(pipe: Any, config: OfficialFlux, folder: Path) -> tuple[Path, Path]:
    """flux1-*.safetensors and ae.safetensors with the weights of a pipeline."""
    shape = config.shape
    with torch.device("meta"):
        ours = shapes_of(config.transformer()), shapes_of(config.autoencoder().vae)
    layouts = (
        transformer_layout(doubles=shape.doubles, singles=shape.singles, guidance_embeds=shape.guidance_embeds),
        autoencoder_layout(ours[1], levels=len(config.vae_widths or ())),
    )
    paths = folder / f"flux1-{config.variant}.safetensors", folder / "ae.safetensors"
    for path, model, layout, shapes in zip(paths, (pipe.transformer, pipe.vae), layouts, ours, strict=True):
        save_file(merged(model.state_dict(), layout, expected(layout, shapes)), path)
    return paths


def merged(state: dict[str, Tensor], layout: Layout, shapes: Shapes) -> dict[str, Tensor]:
    """A model's weights in a single file's names."""
    whole = {key: torch.cat([state[part] for part in parts]) for key, parts in layout.items()}
    for kind in ("weight", "bias"):
        if (key := f"final_layer.adaLN_modulation.1.{kind}") in whole:
            scale, shift = whole[key].chunk(2)
            whole[key] = torch.cat([shift, scale])
    return {key: value.reshape(shapes[key]).contiguous() for key, value in whole.items()}


def overrides(config: OfficialFlux) -> list[str]:
    """What turns generator=flux_dev into this config on the command line."""
    official = OfficialFlux()
    values = {option.name: getattr(config, option.name) for option in fields(config)}
    changed = {name: value for name, value in values.items() if value != getattr(official, name)}
    return ["generator=flux_dev", *(f"generator.{name}={value}".replace(" ", "") for name, value in changed.items())]
