"""Laws of published folders: what is missing or does not fit is one line, before anything is built."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from sdaccel.errors import BadInput
from sdaccel.generators.flux.official import encoders
from sdaccel.generators.flux.official.encoders import Encoders
from sdaccel.generators.flux.official.generator import OfficialFlux
from sdaccel.generators.published import fingerprint, locate
from tests.generators.flux.official.published import DEV, PROMPTS, single_files
from tests.generators.flux.official.test_pipeline import Published, generate
from tests.generators.flux.tiny import CPU, same

PUBLISHED = "black-forest-labs/FLUX.1-dev"


@pytest.fixture
def folder(dev: Published, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(str(dev[0].weights), tmp_path / "copy"))


def refused(config: OfficialFlux, prompts: tuple[str, ...] = PROMPTS) -> str:
    with pytest.raises(BadInput) as caught:
        config.check(prompts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def edited(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    "name",
    [
        "transformer/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "text_encoder_2/model.safetensors",
        "tokenizer/tokenizer.json",
        "tokenizer_2/tokenizer_config.json",
    ],
)
def test_a_missing_file_is_named_with_its_source_and_its_place(name: str, folder: Path) -> None:
    missing(name, folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    shards = sorted((folder / "transformer").glob("*-00002-of-*.safetensors"))
    missing(f"transformer/{shards[0].name}", folder)
    index = folder / "transformer/diffusion_pytorch_model.safetensors.index.json"
    index.write_text("{}")
    assert f"{index} is not an index of shards" in refused(replace(DEV, weights=str(folder)))


def missing(name: str, folder: Path) -> None:
    (folder / name).unlink()
    says = refused(replace(DEV, weights=str(folder)))
    assert f"{name} is missing; it comes from huggingface.co/{PUBLISHED} (hf download {PUBLISHED} {name})" in says
    assert f"put it at {folder / name}" in says


def test_a_folder_without_a_part_names_its_first_file(folder: Path) -> None:
    shutil.rmtree(folder / "transformer")
    assert "transformer/config.json is missing" in refused(replace(DEV, weights=str(folder)))


@pytest.mark.parametrize(
    ("name", "values", "says"),
    [
        ("transformer", {"axes_dims_rope": [4, 8, 4]}, "axes_dims_rope=[4, 8, 4] where [4, 6, 6] is meant; set generator.axes"),
        ("transformer", {"num_layers": 2}, "num_layers=2 where 1 is meant; set generator.doubles"),
        ("transformer", {"guidance_embeds": False}, "choose generator=flux_dev or flux_schnell"),
        ("vae", {"scaling_factor": 0.18215}, "scaling_factor=0.18215 where 0.3611 is meant; it is another model than FLUX.1"),
    ],
)
def test_a_setting_that_leaves_no_trace_in_shapes_is_refused(name: str, values: Any, says: str, folder: Path) -> None:
    edited(folder / name / "config.json", **values)
    assert says in refused(replace(DEV, weights=str(folder)))


def test_the_folder_of_the_other_model_is_refused(dev: Published, schnell: Published) -> None:
    assert "use_dynamic_shifting=True where False is meant; choose" in refused(replace(dev[0], shifted=False))
    assert "use_dynamic_shifting=False where True is meant; choose" in refused(replace(DEV, weights=schnell[0].weights))


def spoiled(path: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> str:
    state = load_file(path)
    change(state)
    save_file(state, path)
    return str(path)


def test_the_first_wrong_key_is_named_in_the_file_s_own_names(dev: Published, tmp_path: Path) -> None:
    config, pipe = dev
    transformer, vae = single_files(pipe, config, tmp_path)
    single = replace(config, weights=str(transformer), vae_weights=str(vae), text_weights=config.weights)
    spoiled(vae, lambda state: state.pop("decoder.mid.attn_1.q.bias"))
    assert "key decoder.mid.attn_1.q.bias (32,) is missing" in refused(single)
    spoiled(transformer, lambda state: state.update({"single_blocks.1.linear1.bias": torch.zeros(7)}))
    assert "key single_blocks.1.linear1.bias has shape (7,) where the model has (224,)" in refused(single)
    spoiled(transformer, lambda state: state.update({"single_blocks.1.linear1.bias": torch.zeros(224), "lora": torch.zeros(1)}))
    assert "key lora is unknown" in refused(single)
    assert "double_blocks.1" in refused(replace(single, doubles=2))


def test_encoders_of_other_widths_or_with_wrong_keys_are_refused(folder: Path) -> None:
    config = replace(DEV, weights=str(folder))
    spoiled(folder / "text_encoder_2/model.safetensors", lambda state: state.pop("encoder.final_layer_norm.weight"))
    assert "encoder.final_layer_norm.weight (32,) is missing" in refused(config)
    (folder / "text_encoder_2/config.json").write_text("no JSON")
    assert "text_encoder_2/config.json cannot be used" in refused(config)


def test_a_prompt_that_t5_would_cut_is_refused(dev: Published) -> None:
    assert "has 41 tokens of T5 and generator.text_tokens is 24" in refused(dev[0], (" ".join(["aaaa"] * 8),))
    assert "tokens of T5" in refused(replace(dev[0], true_cfg=2.0, negative_prompt="ugly " * 9))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weights": "nowhere"}, "generator.weights=nowhere does not exist; give a folder in diffusers' layout"),
        ({"weights": PUBLISHED}, f"generator.weights={PUBLISHED} is no path and not in the hub's cache"),
        ({"vae_weights": "ae.safetensors"}, "generator.weights is not given but generator.vae_weights is"),
        ({"height": 36}, "generator.height=36 must be a positive multiple of 8"),
        ({"width": 0}, "generator.width=0 must be a positive multiple of 8"),
        ({"num_steps": 0}, "generator.num_steps=0 must be at least 1"),
        ({"guidance": float("nan")}, "generator.guidance=nan must be a finite number"),
        ({"vae_widths": [32, 40]}, "multiples of 32, the number of norm groups"),
    ],
)
def test_options_that_cannot_work_are_refused(
    options: dict[str, Any], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert says in refused(replace(DEV, **options))


def test_a_single_file_alone_is_refused(dev: Published, tmp_path: Path) -> None:
    config, pipe = dev
    transformer, vae = single_files(pipe, config, tmp_path)
    assert "generator.vae_weights is not given and generator.weights=" in refused(replace(DEV, weights=str(transformer)))
    both = replace(DEV, weights=str(transformer), vae_weights=str(vae))
    assert "generator.text_weights is not given" in refused(both)


def cached(folder: Path, cache: Path) -> Path:
    """The folder as the hub's client keeps it: links to blobs, the large ones named by their hash."""
    stored = cache / f"models--{PUBLISHED.replace('/', '--')}"
    commit = stored / "snapshots" / "0123abcd"
    (stored / "refs").mkdir(parents=True)
    (stored / "refs" / "main").write_text("0123abcd")
    (stored / "blobs").mkdir()
    for file in (path for path in folder.rglob("*") if path.is_file()):
        blob = stored / "blobs" / fingerprint(file)
        shutil.copy(file, blob)
        link = commit / file.relative_to(folder)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blob)
    return commit


def test_the_hub_s_cache_is_found_by_the_repository_s_name(
    dev: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, _ = dev
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    commit = cached(Path(str(config.weights)), tmp_path)
    here = replace(config, weights=PUBLISHED)
    assert same(generate(here), generate(config))
    assert here.identity() == config.identity()
    blob = (commit / "vae/config.json").resolve()
    assert fingerprint(commit / "vae/config.json") == blob.name, "read from the name, not from 24 GB"
    (commit / "scheduler/scheduler_config.json").unlink()
    here.check(PROMPTS)
    (commit / "vae/config.json").unlink()
    assert f"put it at {commit / 'vae/config.json'}" in refused(here)


def test_encoders_in_the_names_of_older_releases_read_the_same(dev: Published, folder: Path) -> None:
    """FLUX.1's own files: `text_model.` before CLIP's names, its words as vocab.json and merges.txt."""
    path = folder / "text_encoder/model.safetensors"
    save_file({f"text_model.{name}": value for name, value in load_file(path).items()}, path, {"format": "pt"})
    words = folder / "tokenizer"
    model = json.loads((words / "tokenizer.json").read_text())["model"]
    (words / "tokenizer.json").unlink()
    (words / "vocab.json").write_text(json.dumps(model["vocab"]))
    (words / "merges.txt").write_text("#version: 0.2\n")
    config = replace(DEV, weights=str(folder))
    config.check(PROMPTS)
    made = [
        Encoders(locate("text", str(value), repository=PUBLISHED), tokens=24, device=CPU, dtype=torch.float32)(PROMPTS[1])
        for value in (folder, dev[0].weights)
    ]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*made, strict=True))
    (words / "merges.txt").unlink()
    assert "tokenizer/merges.txt is missing" in refused(config)


def test_every_file_that_decides_the_text_is_in_the_identity(folder: Path) -> None:
    config = replace(DEV, weights=str(folder))
    before = config.identity()["sha256"]
    edited(folder / "text_encoder/config.json", hidden_act="gelu")
    assert len([1 for a, b in zip(before, config.identity()["sha256"], strict=True) if a != b]) == 1
    assert len(encoders.files(locate("text", str(folder), repository=PUBLISHED))) == 8
