"""Laws of trained files: what is written is what paints, and what does not fit is refused before anything is built."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sdaccel.conditions import Batch
from sdaccel.errors import BadInput
from sdaccel.generators.base import Generation
from sdaccel.generators.flux.generator import Flux
from sdaccel.generators.flux.packing import pack, unpack_maps
from sdaccel.generators.flux.runtime import random_init
from sdaccel.generators.text import embed, text_tower
from sdaccel.noise import Stream, normal
from sdaccel.shipped import ship
from sdaccel.strategies.forecast.strategy import HiCache
from sdaccel.strategies.plain import Dense, Original
from sdaccel.world.captions import CONTEXT, encode
from sdaccel.zoo import contrastive
from sdaccel.zoo.contrastive import ContrastiveTask
from tests.generators.flux.tiny import CPU, hooks, relative, same

LATENT = Flux(
    doubles=1,
    singles=1,
    axes=[4, 6, 6],
    height=16,
    width=24,
    vae_widths=[8, 8, 8],
    num_steps=4,
    text_tokens=CONTEXT,
    text_width=96,
    pooled_width=128,
    guidance_embeds=False,
    true_cfg=2.0,
)
ORIGINAL = Original()
PROMPTS = ("a red flat circle", "a blue striped star on a grey plain background")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The three files of a tiny model, as the zoo ships them."""
    folder = tmp_path_factory.mktemp("shipped")
    transformer, vae = LATENT.transformer(), LATENT.autoencoder()
    random_init(transformer, seed=1)
    random_init(vae.vae, seed=2)
    vae.shift.data += 0.1
    return {
        "weights": str(ship("flux", transformer, folder=folder)),
        "vae_weights": str(ship("vae", vae, folder=folder)),
        "text_weights": str(ship("clip", contrastive.network(), open_clip=ContrastiveTask.open_clip, folder=folder)),
    }


@pytest.fixture(scope="module")
def trained(files: dict[str, str]) -> Flux:
    return replace(LATENT, **files)  # type: ignore[arg-type]


def generate(config: Flux, strategy: Any = ORIGINAL) -> Generation:
    wanted = Batch(PROMPTS, torch.arange(2), {0: 0, 1: 1})
    return config.build(CPU).generate(wanted, backend=Dense(), strategy=strategy, keep=["latents"])


def test_packing_and_unpacking_are_inverse() -> None:
    maps = torch.arange(2 * 3 * 4 * 6.0).view(2, 3, 4, 6)
    assert pack(maps).shape == (2, 6, 12)
    assert torch.equal(unpack_maps(pack(maps), height=4, width=6), maps)


@pytest.mark.parametrize("random", [True, False])
def test_images_are_the_decoded_last_latents(random: bool, trained: Flux) -> None:
    config = LATENT if random else trained
    config.check(PROMPTS)
    made = generate(config)
    assert made.images.shape == (2, 3, 16, 24)
    assert made.arrays["latents"].shape == (2, 5, 2 * 3, 16)
    assert torch.equal(made.arrays["latents"][:, 0], normal(torch.arange(2), Stream.LATENT, (6, 16)))
    vae = config.build(CPU).vae
    assert vae is not None
    assert torch.equal(made.images, vae.decode(made.arrays["latents"][:, -1], height=16, width=24))


def test_the_files_decide_the_pictures(trained: Flux) -> None:
    assert same(generate(trained), generate(trained))
    assert not same(generate(trained), generate(LATENT))
    assert same(generate(replace(trained, init_seed=9)), generate(trained))


def test_encoding_normalises_what_decoding_takes(trained: Flux) -> None:
    """Shift and scale are undone: without them the picture is the same."""
    vae = trained.build(CPU).vae
    assert vae is not None
    images = torch.rand(1, 3, 16, 24) * 2 - 1
    raw = vae.reconstruct(vae.posterior(images)[0])
    seen = vae.decode(vae.encode(images), height=16, width=24)
    assert relative(seen, (raw / 2 + 0.5).clamp(0, 1)) < 1e-5


def test_the_tower_reads_as_open_clip_does(trained: Flux) -> None:
    import open_clip

    clip = open_clip.create_model(f"local-dir:{trained.text_weights}")
    tower = text_tower(Path(str(trained.text_weights)))
    hidden, pooled = embed(tower, PROMPTS)
    with torch.no_grad():
        own = clip.encode_text(encode(PROMPTS), normalize=True)
    assert hidden.shape == (2, CONTEXT, 96) and pooled.shape == (2, 128)
    assert relative(pooled / 128**0.5, own) < 1e-6


def test_interval_1_is_the_unaccelerated_generation(trained: Flux) -> None:
    assert same(generate(trained, HiCache(interval=1)), generate(trained))
    assert hooks(trained.build(CPU)) == 0


def test_the_price_is_that_of_the_built_models(trained: Flux) -> None:
    cost, runtime = trained.cost(), trained.build(CPU)
    assert cost.weight_bytes == sum(p.nbytes for p in runtime.parameters())
    assert cost.decode_macs > LATENT.cost().decode_macs > 0


def test_the_identity_names_every_file_by_its_hash(trained: Flux, tmp_path: Path) -> None:
    assert LATENT.identity() == {}
    known = trained.identity()["sha256"]
    assert len(set(known)) == 4
    copy = shutil.copy(str(trained.weights), tmp_path / "moved.safetensors")
    assert replace(trained, weights=str(copy)).identity()["sha256"] == known


@pytest.mark.parametrize("missing", ["weights", "vae_weights", "text_weights"])
def test_two_of_three_files_are_refused(missing: str, trained: Flux) -> None:
    with pytest.raises(BadInput, match=f"generator.{missing} is not given"):
        replace(trained, **{missing: None}).check(PROMPTS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "none.safetensors"}, "generator.weights=none.safetensors does not exist"),
        ({"weights": "shipped:none"}, "train them"),
        ({"text_weights": "nowhere"}, "open_clip_config.json is not there"),
        ({"vae_widths": None}, "generator.vae_widths is not given"),
        ({"vae_widths": [8, 8, 12]}, "multiples of 8"),
        ({"height": 20}, "multiple of 8"),
        ({"axes": [4, 4, 4]}, "add up to head_dim=16"),
        ({"true_cfg": float("inf")}, "generator.true_cfg=inf"),
        ({"singles": 2}, r"single_transformer_blocks.1.* is missing"),
        ({"doubles": 0}, "generator.doubles=0"),
        ({"heads": 3}, "has shape"),
        ({"text_tokens": 31}, "set generator.text_tokens=32"),
        ({"pooled_width": 64}, "has shape"),
        ({"latent_channels": 8}, "has shape"),
    ],
)
def test_options_that_do_not_fit_the_files_are_refused(options: dict[str, Any], message: str, trained: Flux) -> None:
    with pytest.raises(BadInput, match=message) as refused:
        replace(trained, **options).check(PROMPTS)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("prompt", ["a red elephant", " ".join(["red"] * 31)])
def test_prompts_outside_the_small_world_are_refused(prompt: str, trained: Flux) -> None:
    with pytest.raises(BadInput, match=r"elephant|31 words"):
        trained.check([prompt])
    LATENT.check([prompt])


def test_a_vae_with_an_unknown_key_and_a_clip_without_a_model_are_refused(trained: Flux, tmp_path: Path) -> None:
    path = tmp_path / "vae.safetensors"
    save_file(load_file(str(trained.vae_weights)) | {"extra": torch.zeros(1)}, path)
    with pytest.raises(BadInput, match="key extra is unknown"):
        replace(trained, vae_weights=str(path)).check(PROMPTS)
    folder = shutil.copytree(str(trained.text_weights), tmp_path / "clip")
    (folder / "open_clip_config.json").write_text(json.dumps({"preprocess_cfg": {}}))
    with pytest.raises(BadInput, match="describes no CLIP model"):
        replace(trained, text_weights=str(folder)).check(PROMPTS)
