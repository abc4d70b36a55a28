"""Every mistake is one clear line and exit code 2, before any model is built."""

from pathlib import Path
from typing import Any

import pytest
import torch

from sdaccel.generators.flux.generator import Flux
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.var.generator import Var
from tests.studies.frame import run_argv

pytestmark = pytest.mark.usefixtures("options_once")
HART, VAR = ["generator=hart_tiny"], ["generator=var_tiny"]


def _case(words: list[str], *argv: str) -> object:
    return pytest.param(list(argv), words, id=" ".join(argv)[:70])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        _case(["exp/no_such"], "+exp=no_such"),
        _case(["strategy/no_such"], "strategy=no_such"),
        _case(["generator/no_such"], "generator=no_such"),
        _case(["no_such"], "no_such=1"),
        _case(["intervall"], "strategy=hicache", "strategy.intervall=3"),
        _case(["interval", "often"], "strategy=hicache", "strategy.interval=often"),
        _case(["strategy.interval=0", "at least 1"], "strategy=hicache", "strategy.interval=0"),
        _case(["hicache_scale=1.5", "(0, 1]"], "strategy=hicache", "strategy.hicache_scale=1.5"),
        _case(["first_enhance=0"], "strategy=taylor", "strategy.first_enhance=0"),
        _case(["seed", "x"], "seed=x"),
        _case(["data.limit=0"], "data.limit=0"),
        _case(["batch_size=0"], "data.batch_size=0"),
        _case(["prompts is empty"], "data.prompts=[]"),
        _case(["does not exist"], "data.prompt_file=/no/such/file.txt"),
        _case(["float31"], "generator.dtype=float31"),
        _case(["height=31"], "generator.height=31"),
        _case(["1000"], *VAR, "data.labels=[1000]"),
        _case(["-2"], *VAR, "data.labels=[-2]"),
        _case(["denoise", "scales"], *VAR, "strategy=hicache"),
        _case(["denoise", "scales"], *HART, "strategy=hicache"),
        _case(["takes prompts"], *HART, "data.labels=[1]"),
        _case(["head_steps=0", "1 .. 1000"], *HART, "generator.head_steps=0"),
        _case(["does not divide"], *HART, "generator.heads=7"),
        _case(["set image_size=12"], *HART, "generator.image_size=16"),
        _case(["text_weights"], *HART, "generator.weights=no_such_folder"),
        _case(["does not exist", "hf download"], *HART, "generator.weights=/no/such", "generator.text_weights=/no/such"),
        _case(["two of one kind"], *HART, "strategy=speculative_coupled", "generator@strategy.draft=var_tiny"),
        _case(["accelerator=tpu"], "trainer.accelerator=tpu"),
        _case(["CUDA"], "trainer=gpu"),
        _case(["--quick"], "--quick"),
        _case(["intervall=1", "it has: interval"], "+study.arms.A={strategy: hicache, intervall: 1}"),
        _case(["mutant=x"], "+study.controls.m={for: A, fails: equal, mutant: x, strategy: hicache}", "+study.arms.A={}"),
        _case(["same is unknown"], "+study.arms.A={}", "study.checks=[{same: [A]}]"),
        _case(["names arm C"], "+study.arms.A={}", "+study.arms.B={}", "study.checks=[{equal: [A, C]}]"),
        _case(["no such option"], "+study.arms.A={generator.depht: 3}"),
        _case(
            ["nothing could catch it"],
            "+study.arms.A={}",
            "strategy=taylor",
            "+study.controls.m={for: A, fails: equal, mutant: sign_flip}",
        ),
        _case(["interval=often"], "-m", "strategy=hicache", "strategy.interval=1,often"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2_before_any_model(
    argv: list[str], words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*args: object) -> None:
        raise AssertionError("a model was built")

    monkeypatch.setattr(Flux, "build", refuse)
    monkeypatch.setattr(Var, "build", refuse)
    monkeypatch.setattr(Hart, "build", refuse)
    assert run_argv([*argv, f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1, err
    assert all(word in err for word in words), err


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "holds no prompt"), (b"\n  \n", "holds no prompt"), (b"a\x00b", "binary"), (b"\xff\xfe\xfa", "not UTF-8")],
)
def test_an_unusable_prompt_file_is_named(
    content: bytes, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    assert run_argv([f"data.prompt_file={file}", f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert str(file) in err


@pytest.mark.parametrize("output", ["/proc/nowhere", "{file}/below"])
def test_an_unwritable_output_is_refused_before_the_run(
    output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert run_argv([f"output={output.format(file=tmp_path / 'file')}"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_typo_in_an_experiment_file_is_an_error_not_a_new_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "exp").mkdir()
    for name, text in {
        "top": "study:\n  nmae: typo\n",
        "option": "defaults:\n  - override /strategy: hicache\n\nstrategy:\n  intervall: 9\n",
        "type": "data:\n  limit: many\n",
    }.items():
        (tmp_path / "exp" / f"{name}.yaml").write_text("# @package _global_\n" + text)
        assert run_argv([f"+exp={name}", f"hydra.searchpath=[file://{tmp_path}]", f"output={tmp_path}/runs"]) == 2
        err = capsys.readouterr().err
        assert any(word in err for word in ("nmae", "intervall", "many")), err


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VAR of depth 2 and its VQVAE as official files, and the ways in which such files go wrong."""
    folder = tmp_path_factory.mktemp("checkpoints")
    runtime = Var(**TINY).build(torch.device("cpu"))
    torch.save(runtime.var.state_dict(), folder / "var.pth")
    torch.save(runtime.vae.state_dict(), folder / "vae.pth")
    whole = (folder / "var.pth").read_bytes()
    (folder / "truncated.pth").write_bytes(whole[: len(whole) // 2])
    torch.save({k: v for k, v in runtime.var.state_dict().items() if k != "head.bias"}, folder / "no_head_bias.pth")
    return folder


TINY: dict[str, Any] = {
    "depth": 2,
    "num_classes": 10,
    "vocab": 64,
    "Cvae": 8,
    "ch": 32,
    "image_size": 64,
    "patch_nums": [1, 2, 4],
    "top_k": 0,
}
SIZES = [f"generator.{key}={value}" for key, value in TINY.items()]


@pytest.mark.parametrize(
    ("file", "depth", "words"),
    [
        ("missing.pth", 2, ["missing.pth"]),
        ("truncated.pth", 2, ["truncated.pth"]),
        ("var.pth", 3, ["depth"]),
        ("no_head_bias.pth", 2, ["head.bias"]),
        ("vae.pth", 2, ["vae.pth"]),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_with_its_first_wrong_key(
    file: str, depth: int, words: list[str], checkpoints: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = [f"generator.weights={checkpoints / file}", f"generator.vae_weights={checkpoints / 'vae.pth'}"]
    assert run_argv(["generator=var_tiny", *SIZES, f"generator.depth={depth}", *weights, f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1, err
    assert all(word in err for word in words), err


def test_the_checkpoint_that_fits_runs(checkpoints: Path, tmp_path: Path) -> None:
    weights = [f"generator.weights={checkpoints / 'var.pth'}", f"generator.vae_weights={checkpoints / 'vae.pth'}"]
    assert run_argv(["generator=var_tiny", *SIZES, *weights, "study.timing.repeats=0", f"output={tmp_path}"]) == 0


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        _case(["max_order is empty"], "+study.arms.x={strategy: hicache, max_order: []}"),
        _case(["is empty"], "+study.vary={generator.dtype: []}", "+study.arms.x={}"),
        _case(["occurs twice"], "+study.arms.x={strategy: hicache, interval: [2, 2]}"),
        _case(["no array named latent"], "study.keep=[latent]"),
        _case(["no array named latents"], *VAR, "study.keep=[latents]"),
        _case(["study.keep=[latents]"], "study.figures=[step_differences]"),
        _case(["seed=99999999999999999999"], "seed=99999999999999999999"),
        _case(["guidance=nan"], "generator.guidance=nan"),
        _case(["repeats=-1"], "study.timing.repeats=-1"),
        _case(["study.arms.x=3"], "+study.arms.x=3"),
        _case(["study.arms.x=None"], "+study.arms.x=null"),
        _case(["images_before=abc"], "+study.arms.x={images_before: abc}"),
        _case(["images_before=-1"], "+study.arms.x={images_before: -1}"),
        _case(["audit=yes"], "+study.arms.x={audit: 'yes', strategy: hicache}"),
        _case(["strategy=None"], "+study.arms.x={strategy: null}"),
        _case(["strategy nope does not exist", "hicache"], "+study.arms.x={strategy: nope}"),
        _case(["equal sizes"], "+study.arms.baseline={}", "+study.arms.x={generator.height: 64}"),
        _case(["study.baseline=nope"], "study.baseline=nope"),
        _case(["study.name=a/b"], "study.name=a/b"),
        _case(["empty prompt"], "data.prompts=[' ']"),
    ],
)
def test_a_study_that_could_not_mean_anything_is_refused(
    argv: list[str], words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run_argv([*argv, f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert len(err.strip().splitlines()) == 1, err
    assert all(word in err for word in words), err


def test_an_empty_or_dangling_output_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for output in ("", str(tmp_path / "link")):
        assert run_argv([f"output={output}"]) == 2
        assert "output" in capsys.readouterr().err
