"""Weight files: round trips, and a clear refusal of everything that does not fit."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.generators.var.generator import Var
from tests.generators.test_var import TINY

CPU = torch.device("cpu")
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def states() -> tuple[State, State]:
    """State dicts of the tiny transformer and its VQVAE, buffers included."""
    built = replace(TINY, init_seed=9).build(CPU)
    return built.var.state_dict(), built.vae.state_dict()


def write(folder: Path, var: Any, vae: Any, *, suffix: str = ".pth") -> Var:
    """Both files, and the config that names them."""
    paths = folder / f"var{suffix}", folder / f"vae{suffix}"
    for state, path in zip((var, vae), paths, strict=True):
        if suffix == ".safetensors":
            save_file(state, path)
        else:
            torch.save(state, path)
    return replace(TINY, weights=str(paths[0]), vae_weights=str(paths[1]))


def refuses(config: Var, *parts: str) -> None:
    with pytest.raises(BadInput) as caught:
        config.check([0])
    for part in parts:
        assert part in str(caught.value)
    with pytest.raises(BadInput):
        config.build(CPU)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_both_formats_round_trip_bit_for_bit(tmp_path: Path, states: tuple[State, State], suffix: str) -> None:
    config = write(tmp_path, *states, suffix=suffix)
    config.check([0])
    loaded, batch = config.build(CPU), batches([1, 2], seed=0, size=2)[0]
    for state, model in zip(states, (loaded.var, loaded.vae), strict=True):
        assert all(torch.equal(state[name], value) for name, value in model.state_dict().items())
    images = [r.generate(batch, backend=None, strategy=None).images for r in (loaded, replace(TINY, init_seed=9).build(CPU))]
    assert torch.equal(*images)


def test_a_loaded_model_does_not_change_when_its_file_does(tmp_path: Path, states: tuple[State, State]) -> None:
    config = write(tmp_path, *states)
    loaded = config.build(CPU)
    path = Path(str(config.weights))
    with path.open("r+b") as file:
        file.write(b"\0" * path.stat().st_size)
    assert torch.equal(loaded.var.head.weight, states[0]["head.weight"])


def test_pickles_older_than_the_zip_format_load(tmp_path: Path, states: tuple[State, State]) -> None:
    config = write(tmp_path, *states)
    torch.save(states[0], str(config.weights), _use_new_zipfile_serialization=False)
    config.check([0])
    assert torch.equal(config.build(CPU).var.head.weight, states[0]["head.weight"])


def test_buffers_may_be_absent_and_usage_counters_may_have_other_rows(tmp_path: Path, states: tuple[State, State]) -> None:
    var = {name: value for name, value in states[0].items() if not name.endswith(("lvl_1L", "masking", "zero_k_bias"))}
    vae = states[1] | {"quantize.ema_vocab_hit_SV": torch.ones(10, 32)}
    config = write(tmp_path, var, vae)
    config.check([0])
    assert torch.equal(config.build(CPU).var.lvl_1L, states[0]["lvl_1L"])


def test_training_checkpoints_are_unwrapped(tmp_path: Path, states: tuple[State, State]) -> None:
    both = {"trainer": {"var_wo_ddp": states[0], "vae_local": states[1]}, "epoch": 3}
    config = write(tmp_path, both, both)
    config.check([0])
    assert torch.equal(config.build(CPU).vae.quant_conv.weight, states[1]["quant_conv.weight"])


def test_half_precision_files_and_models_mix(tmp_path: Path, states: tuple[State, State]) -> None:
    halves = [{k: v.half() if v.is_floating_point() else v for k, v in state.items()} for state in states]
    config = replace(write(tmp_path, *halves), dtype="bfloat16")
    config.check([0])
    assert config.build(CPU).var.head.weight.dtype == torch.bfloat16


def test_identity_follows_the_content_of_the_files_and_not_their_place(tmp_path: Path, states: tuple[State, State]) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    here, there = write(tmp_path / "a", *states), write(tmp_path / "b", *states)
    assert here.identity() == there.identity() != TINY.identity()
    changed = write(tmp_path / "b", states[0] | {"head.bias": states[0]["head.bias"] + 1}, states[1])
    assert changed.identity() != here.identity()
    assert str(tmp_path) not in str(here.identity())


def test_a_missing_file_is_named(tmp_path: Path, states: tuple[State, State]) -> None:
    config = replace(write(tmp_path, *states), weights=str(tmp_path / "nowhere.pth"))
    refuses(config, "generator.weights", "nowhere.pth", "does not exist")


def test_one_file_without_the_other_is_refused(tmp_path: Path, states: tuple[State, State]) -> None:
    with pytest.raises(BadInput, match="vae_weights is not given"):
        replace(write(tmp_path, *states), vae_weights=None).check([0])


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("<html>404</html>")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("damage", [truncate, empty, text, folder])
def test_damaged_files_are_refused(
    tmp_path: Path, states: tuple[State, State], suffix: str, damage: Callable[[Path], None]
) -> None:
    config = write(tmp_path, *states, suffix=suffix)
    damage(Path(str(config.weights)))
    refuses(config, "generator.weights", "is a folder" if damage is folder else "cannot be read as weights")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"trainer": {"epoch": 3}}])
def test_files_without_a_state_dict_are_refused(tmp_path: Path, states: tuple[State, State], content: object) -> None:
    refuses(write(tmp_path, content, states[1]), "holds no state dict")


def test_files_that_would_run_code_are_refused(tmp_path: Path, states: tuple[State, State]) -> None:
    refuses(write(tmp_path, Path("x"), states[1]), "cannot be read as weights")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"depth": 3}, ("depth=2", "depth=3", "set generator.depth=2")),
        ({"num_classes": 6}, ("num_classes=5", "num_classes=6")),
        ({"vocab": 64}, ("vocab=32", "vocab=64")),
        ({"Cvae": 8}, ("Cvae=4", "Cvae=8")),
        ({"shared_aln": True}, ("shared_aln=False", "shared_aln=True")),
        ({"patch_nums": [1, 2, 4]}, ("4 scales of 30 tokens", "3 of 21", "patch_nums")),
        ({"ch": 64}, ("generator.vae_weights", "encoder.conv_in.weight", "(32, 3, 3, 3)", "(64, 3, 3, 3)")),
    ],
)
def test_another_model_is_named_with_both_values(
    tmp_path: Path, states: tuple[State, State], change: dict[str, object], parts: tuple[str, ...]
) -> None:
    refuses(replace(write(tmp_path, *states), **change), *parts)  # type: ignore[arg-type]


def test_the_first_wrong_key_of_the_manifest_is_named(tmp_path: Path, states: tuple[State, State]) -> None:
    var, vae = states
    without = {name: value for name, value in var.items() if name not in ("blocks.1.attn.q_bias", "blocks.1.ffn.fc2.bias")}
    refuses(write(tmp_path, without, vae), "blocks.1.attn.q_bias (128,) is missing")
    refuses(write(tmp_path, var | {"blocks.0.attn.rope": torch.zeros(1)}, vae), "blocks.0.attn.rope is unknown")
    refuses(write(tmp_path, var | {"head.bias": torch.zeros(31)}, vae), "head.bias has shape (31,) where the model has (32,)")
    refuses(write(tmp_path, vae, var), "give a VAR transformer file")
    refuses(write(tmp_path, var | {"class_emb.weight": torch.zeros(6)}, vae), "class_emb.weight")


def test_width_that_does_not_follow_depth_is_named(tmp_path: Path, states: tuple[State, State]) -> None:
    refuses(write(tmp_path, states[0] | {"pos_1LC": torch.zeros(1, 30, 64)}, states[1]), "64 wide", "128")


def test_levels_of_another_layout_of_equal_length_are_refused_at_load(tmp_path: Path, states: tuple[State, State]) -> None:
    config = write(tmp_path, states[0] | {"lvl_1L": states[0]["lvl_1L"].flip(1)}, states[1])
    with pytest.raises(BadInput, match="lvl_1L"):
        config.build(CPU)
