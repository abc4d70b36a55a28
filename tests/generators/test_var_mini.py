"""The small VAR models: configs that name shipped weights, through the loader of the official files."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from sdaccel import shipped
from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.var.generator import Var
from sdaccel.studies import compose as studies
from sdaccel.zoo import next_scale, tokenizer
from tests.conformance.upstream import painted
from tests.conftest import CONF

CPU = torch.device("cpu")
DEPTH = {"var_mini": 4, "var_mini_target": 4, "var_mini_draft": 2, "var_mini_draft_distilled": 2}
MIB = 2**20
BUDGET = {4: 8 * MIB, 2: 1.5 * MIB}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Untrained networks, shipped under the names of the trained ones."""
    folder = tmp_path_factory.mktemp("weights")
    shipped.ship("vqvae_mini", tokenizer.network(), folder=folder)
    for name in ("var_mini_target", "var_mini_draft", "var_mini_draft_distilled"):
        shipped.ship(name, next_scale.network(DEPTH[name]), folder=folder)
    return folder


@pytest.fixture
def untrained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(shipped, "locate", partial(shipped.locate, folder=folder))
    yield folder


def config(name: str) -> Var:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return instantiate(compose(f"generator/{name}").generator, _convert_="all")


@pytest.mark.parametrize("name", DEPTH)
def test_every_mini_config_loads_what_training_ships(name: str, untrained: Path) -> None:
    generator = config(name)
    generator.check([0, 23, -1])
    runtime = generator.build(CPU)
    trained = next_scale.network(DEPTH[name])
    assert all(torch.equal(p.half().float(), q) for p, q in zip(trained.parameters(), runtime.var.parameters(), strict=True))
    assert torch.equal(runtime.var.attn_bias_for_masking, trained.attn_bias_for_masking)  # buffers are not in the file
    hashes = generator.identity()["sha256"]
    assert hashes == [shipped.sha256(untrained / f"{file}.safetensors") for file in (name_of(generator.weights), "vqvae_mini")]


def name_of(option: str | None) -> str:
    assert option is not None
    return option.removeprefix(shipped.PREFIX)


def test_a_mini_model_makes_a_picture_from_its_shipped_file(untrained: Path) -> None:
    made = config("var_mini_draft").build(CPU).generate(batches([5], seed=0, size=1)[0], backend=None, strategy=None)
    assert made.images.shape == (1, 3, 64, 64)
    assert made.images.isfinite().all()


@pytest.mark.parametrize("name", ["var_mini_target", "var_mini_draft"])
def test_a_shipped_transformer_is_within_its_budget(name: str, folder: Path) -> None:
    assert (folder / f"{name}.safetensors").stat().st_size <= BUDGET[DEPTH[name]]


def test_the_draft_costs_a_quarter_of_the_target_or_less() -> None:
    target, draft = (sum(config(name).cost().macs) for name in ("var_mini_target", "var_mini_draft"))
    assert target >= 4 * draft


def test_weights_that_do_not_fit_or_do_not_ship_are_refused(untrained: Path) -> None:
    target = config("var_mini_target")
    with pytest.raises(BadInput, match="the file has depth=4, the config depth=2"):
        replace(target, depth=2).check([0])
    with pytest.raises(BadInput, match=r"no weights of var_giant ship in .*model=var_giant"):
        replace(target, weights="shipped:var_giant").check([0])


def test_a_damaged_file_is_refused(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged" / "vqvae_mini.safetensors").write_bytes(b"damaged")
    monkeypatch.setattr(shipped, "locate", partial(shipped.locate, folder=tmp_path / "damaged"))
    with pytest.raises(BadInput, match="restore the file from git"):
        config("var_mini_target").check([0])


@torch.no_grad()
def test_a_reconstruction_is_the_real_picture_through_the_tokens(untrained: Path) -> None:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        real, through = (
            instantiate(compose(f"generator/{name}").generator, _convert_="all")
            for name in ("world_classes", "world_classes_reconstructed")
        )
    through.check([0, 23])
    assert through.identity() == real.identity() | {"sha256": shipped.sha256(untrained / "vqvae_mini.safetensors")}
    batch = batches([3, 20], seed=1, size=2)[0]
    runtime = through.build(CPU)
    pictures, made = (r.generate(batch, backend=None, strategy=None).images for r in (real.build(CPU), runtime))
    idx, _ = runtime.vae.tokenize(runtime.vae.encode(pictures * 2 - 1), Layout(tokenizer.SCALES))
    canvas, _ = painted(runtime.vae, idx, Layout(tokenizer.SCALES))
    assert torch.equal(made, (runtime.vae.decode(canvas.f_hat) + 1) / 2)
    with pytest.raises(BadInput, match="set image_size=64"):
        replace(through, image_size=128).check([0])


@pytest.mark.skipif(
    not {"var_mini_target", "var_mini_draft", "var_mini_draft_distilled", "vqvae_mini", "clip_mini"}
    <= {path.stem for path in shipped.FOLDER.iterdir()},
    reason="the models are not all trained yet",
)
def test_the_baseline_study_composes(tmp_path: Path) -> None:
    studies.register()
    plan = studies.plan(["+exp=var_baseline", "data.limit=96", f"output={tmp_path}"], conf=CONF)
    names = [arm.name for arm in plan.arms]
    assert {"real", "reconstructed", "target", "draft", "distilled", "skip1", "skip4", "cfg[cfg=0]"} <= set(names)
    assert plan.conditions[:25] == [*range(24), 0]
