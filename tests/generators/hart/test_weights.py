"""Official files of HART: round trips in their own layout, and a clear refusal of everything that does not fit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.generators.hart import weights
from sdaccel.generators.hart.generator import Hart
from tests.generators.hart.tiny import CPU, TINY, built, same

State = dict[str, Tensor]
CAPTION = "a small red dotted circle left of a medium blue flat star on a grey plain background"
OWN = replace(TINY, init_seed=9, context_tokens=32, context_width=96, text_weights="shipped:clip_mini")
"""It reads the words of the small world, as its files must; `weights` is what the tests add."""
RANDOM = replace(OWN, text_weights=None)
CONFIG = {
    "depth": 2,
    "embed_dim": 32,
    "num_heads": 2,
    "patch_nums": [1, 2, 3, 4],
    "context_token": 32,
    "context_dim": 96,
    "attn_type": "llama",
    "mlp_type": "llama",
    "disable_aln": True,
    "use_timestep_embed": True,
    "diff_width": 32,
    "sampler": "iddpm",
    "norm_eps": 1e-6,
    "transformers_version": "4.42.2",
}
ROWS = OWN.layout.row_start(OWN.steps)


def states() -> tuple[State, State]:
    """Transformer and tokenizer as they are published, with the buffers that are ignored and the discriminator."""
    runtime = built(RANDOM)
    masks = {"lvl_1L": torch.zeros(1, ROWS), "attn_bias_for_masking": torch.full((1, 1, ROWS, ROWS), torch.nan)}
    tokenizer = {f"vae.{name}": value for name, value in runtime.vae.state_dict().items()}
    tokenizer["vae.quantize.ema_vocab_hit_SV"] = torch.zeros(14, 7)
    return runtime.hart.state_dict() | masks, tokenizer | {"disc.main.0.weight": torch.zeros(3)}


def save(state: State, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)


def official(folder: Path, *, name: str = "ema_model.bin", tokenizer: str = "pytorch_model.bin", **changed: Any) -> Hart:
    """A folder as it is published, and the config that names it."""
    for state, path in zip(states(), (folder / "llm" / name, folder / "tokenizer" / tokenizer), strict=True):
        save(state, path)
    (folder / "llm" / "config.json").write_text(json.dumps(CONFIG | changed))
    (folder / "tokenizer" / "config.json").write_text(json.dumps({"quantizer_type": "var_hybrid", "vocab_size": 64}))
    return replace(OWN, weights=str(folder))


def picture(config: Hart) -> Any:
    """By the model alone: what is read beside it is the same for all."""
    runtime = config.build(CPU)
    runtime.reader = built(OWN).reader
    return runtime.generate(batches([CAPTION], seed=0, size=1)[0], backend=None, strategy=None, keep=["tokens", "f_hat"])


def refuses(config: Hart, *parts: str) -> None:
    with pytest.raises(BadInput) as caught:
        config.check([CAPTION])
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "names", [("ema_model.bin", "pytorch_model.bin"), ("pytorch_model.bin", "model.safetensors"), ("model.safetensors",) * 2]
)
def test_an_official_folder_makes_the_picture_of_the_model_that_wrote_it(tmp_path: Path, names: tuple[str, str]) -> None:
    config = official(tmp_path, name=names[0], tokenizer=names[1])
    config.check([CAPTION])
    assert same(picture(config), picture(RANDOM))
    assert config.notes([CAPTION]) == []


def test_files_by_name_hold_the_same_with_and_without_the_published_prefix(tmp_path: Path) -> None:
    llm, tokenizer = states()
    bare = {name.removeprefix("vae."): value for name, value in tokenizer.items() if name.startswith("vae.")}
    llm = {name: value for name, value in llm.items() if not name.endswith(("lvl_1L", "masking", "zero_k_bias"))}
    for number, state in enumerate((bare, tokenizer)):
        save(llm, tmp_path / "hart.safetensors")
        save(state, tmp_path / f"vae{number}.safetensors")
        files = {"weights": str(tmp_path / "hart.safetensors"), "vae_weights": str(tmp_path / f"vae{number}.safetensors")}
        config = replace(OWN, **files)  # type: ignore[arg-type]
        config.check([CAPTION])
        assert same(picture(config), picture(RANDOM))
    refuses(replace(config, vae_weights=None), "generator.vae_weights is not given", "a folder with both")


def test_the_average_of_training_comes_first_unless_it_is_declined(tmp_path: Path) -> None:
    config = official(tmp_path)
    other = {name: value + 1 if value.is_floating_point() else value for name, value in states()[0].items()}
    save(other, tmp_path / "llm" / "pytorch_model.bin")
    plain = replace(config, ema=False)
    assert torch.equal(config.build(CPU).hart.head.bias + 1, plain.build(CPU).hart.head.bias)
    assert config.identity() != plain.identity() and str(tmp_path) not in str(config.identity())


def test_the_hubs_cache_is_read_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    named = replace(OWN, weights="mit-han-lab/hart-0.7b-1024px")
    refuses(named, "not in the hub's cache", "hf download mit-han-lab/hart-0.7b-1024px")
    stored = tmp_path / "models--mit-han-lab--hart-0.7b-1024px"
    (stored / "refs").mkdir(parents=True)
    (stored / "refs" / "main").write_text("abc")
    (stored / "snapshots" / "abc").mkdir(parents=True)
    official(stored / "snapshots" / "abc")
    named.check([CAPTION])
    assert same(picture(named), picture(RANDOM))


def test_a_loaded_model_does_not_change_when_its_file_does(tmp_path: Path) -> None:
    config, path = official(tmp_path), tmp_path / "llm" / "ema_model.bin"
    loaded = config.build(CPU)
    with path.open("r+b") as file:
        file.write(b"\0" * path.stat().st_size)
    assert torch.equal(loaded.hart.head.weight, built(RANDOM).hart.head.weight)


def test_what_follows_from_the_layout_is_not_among_the_tensors_that_are_read(tmp_path: Path) -> None:
    source = weights.source("generator.weights", str(official(tmp_path).weights))
    file, model = weights.check_transformer(source, OWN.geometry, ema=True)
    assert file.load().keys() == file.shapes.keys() == model.state_dict().keys()
    assert {"lvl_1L", "attn_bias_for_masking"} < torch.load(tmp_path / "llm" / "ema_model.bin").keys()


@pytest.mark.parametrize("name", ["llm/ema_model.bin", "llm/config.json", "tokenizer/pytorch_model.bin"])
def test_a_missing_file_is_named_with_the_place_it_comes_from(tmp_path: Path, name: str) -> None:
    config = official(tmp_path)
    (tmp_path / name).unlink()
    refuses(config, f"{name} is missing", "huggingface.co/mit-han-lab/hart-0.7b-1024px", str(tmp_path / name))


@pytest.mark.parametrize("where", ["llm/ema_model.bin", "tokenizer/pytorch_model.bin", "llm/config.json"])
def test_a_truncated_file_is_refused(tmp_path: Path, where: str) -> None:
    config, path = official(tmp_path), tmp_path / where
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    refuses(config, path.name, "fetch it again")


@pytest.mark.parametrize(
    ("key", "value", "fix"),
    [
        ("depth", 24, "set generator.depth"),
        ("num_heads", 4, "set generator.heads"),
        ("patch_nums", [1, 2, 4], "set generator.patch_nums"),
        ("context_token", 300, "set generator.context_tokens"),
        ("attn_type", "gpt2", "it is another model than HART"),
        ("use_cross_attn", True, "it is another model than HART"),
        ("norm_eps", 1e-5, "it is another model than HART"),
    ],
)
def test_every_field_of_the_folders_config_is_compared(tmp_path: Path, key: str, value: Any, fix: str) -> None:
    refuses(official(tmp_path, **{key: value}), f"llm/config.json says {key}={value} where", fix)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"depth": 3}, ("the file has depth=2, the config depth=3", "set generator.depth=2")),
        ({"embed_dim": 64}, ("the file has embed_dim=32", "set generator.embed_dim=32")),
        ({"hidden": 64}, ("the file has hidden=48",)),
        ({"head_depth": 1}, ("the file has head_depth=2",)),
        ({"patch_nums": [1, 2, 4]}, ("trained on 61 rows", "make 52", "set both, and image_size")),
        ({"context_tokens": 12}, ("trained on 61 rows",)),
        ({"image_size": 8}, ("set image_size=4",)),
        ({"ch": 64}, ("where the model has",)),
    ],
)
def test_sizes_other_than_the_files_are_named_with_the_fix(
    tmp_path: Path, change: dict[str, Any], words: tuple[str, ...]
) -> None:
    llm, tokenizer = states()
    save(llm, tmp_path / "llm.bin")
    save(tokenizer, tmp_path / "tokenizer.bin")
    files = {"weights": str(tmp_path / "llm.bin"), "vae_weights": str(tmp_path / "tokenizer.bin")}
    refuses(replace(OWN, **files | change), *words)


def without(name: str) -> Callable[[State], State]:
    return lambda state: {key: value for key, value in state.items() if key != name}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without("word_embed.weight"), ("key word_embed.weight is missing",)),
        (without("blocks.1.ln_wo_grad.weight"), ("key blocks.1.ln_wo_grad.weight (32,) is missing", "fetch it again")),
        (lambda state: state | {"blocks.0.extra": torch.zeros(1)}, ("key blocks.0.extra is unknown",)),
        (lambda state: state | {"decoder_norm.weight": torch.zeros(3)}, ("key decoder_norm.weight has shape (3,)",)),
    ],
)
def test_the_first_wrong_key_is_named(tmp_path: Path, damage: Callable[[State], State], words: tuple[str, ...]) -> None:
    config = official(tmp_path, name="model.safetensors")
    path = tmp_path / "llm" / "model.safetensors"
    save(damage(load_file(path)), path)
    refuses(config, *words)


def test_the_text_encoder_must_be_that_of_the_sizes(tmp_path: Path) -> None:
    config = official(tmp_path)
    refuses(replace(config, text_weights=None), "generator.text_weights is not")
    refuses(replace(RANDOM, text_weights="shipped:clip_mini"), "generator.weights is not")
    with pytest.raises(BadInput, match="word"):
        config.check(["an astronaut"])
