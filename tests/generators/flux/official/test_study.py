"""Laws of the two configs, and of a whole study with published files."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sdaccel.conditions import batches
from sdaccel.errors import BadInput
from sdaccel.generators.flux.official.encoders import Encoders
from sdaccel.generators.flux.official.generator import OfficialFlux
from sdaccel.samples import Samples
from sdaccel.strategies.plain import Dense, Original
from sdaccel.studies import compose
from tests.conftest import CONF
from tests.generators.flux.official.published import PROMPTS, SCHNELL, overrides
from tests.generators.flux.official.test_pipeline import Published, generate
from tests.generators.flux.tiny import CPU
from tests.studies.frame import run, run_argv

SCENES = f"data.prompts=[{','.join(PROMPTS)}]"
SHORT = (SCENES, f"data.batch_size={len(PROMPTS)}", "study.timing.repeats=0", "study.keep=[latents]", "generator.num_steps=6")


def planned(*argv: str) -> Any:
    return compose.plan([*argv, "data.prompts=[a cat]"], conf=CONF).arms[-1].generator


def test_the_configs_are_the_published_models() -> None:
    dev, schnell = planned("generator=flux_dev"), planned("generator=flux_schnell")
    assert dev == OfficialFlux()
    published = {"num_steps": 4, "guidance_embeds": False, "shifted": False, "text_tokens": 256}
    assert asdict(schnell) == asdict(dev) | published
    assert dev.tokens == 4096 and dev.channels == schnell.channels == 64
    assert schnell.times == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert dev.times[25] == pytest.approx(0.7595, abs=1e-4), "1 / (1 + exp(-1.15)) half-way"
    with torch.device("meta"):
        parts = dev.transformer(), dev.autoencoder().vae
    assert [sum(p.numel() for p in part.parameters()) for part in parts] == [11_901_408_320, 83_819_683]


def test_random_weights_paint_without_any_file() -> None:
    made = generate(replace(SCHNELL, num_steps=2))
    assert made.images.shape == (2, 3, 32, 48) and made.images.isfinite().all()
    assert SCHNELL.identity() == {}


@pytest.mark.parametrize("strategy", ["hicache", "taylor strategy.max_order=1", "fora", "delta"])
def test_the_few_step_model_refuses_forecasts(strategy: str) -> None:
    name, *options = strategy.split()
    with pytest.raises(BadInput, match=r"generator\.num_steps=4 (is too few|to forecast)"):
        planned("generator=flux_schnell", f"strategy={name}", *options)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ("generator.height=1000", "generator.height=1000 must be a positive multiple of 16, one packed patch."),
        ("generator.width=-16", "generator.width=-16 must be a positive multiple of 16"),
        ("generator.num_steps=0", "generator.num_steps=0 must be at least 1"),
        ("generator.weights=flux1-dev.safetensors", "generator.weights=flux1-dev.safetensors does not exist"),
        ("strategy=hicache strategy.interval=0", "strategy.interval=0 must be at least 1"),
        ("generator.gidance=3", "gidance"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(argv: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_argv(["generator=flux_dev", *argv.split(), f"output={tmp_path}"]) == 2
    err = capsys.readouterr().err
    assert says in err and len(err.strip().splitlines()) == 1


def test_a_study_reads_every_prompt_once_for_all_its_arms(
    dev: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = (*overrides(dev[0]), *SHORT, "strategy=hicache", "strategy.interval=2")
    record = run(*options, output=tmp_path)
    assert len(list((tmp_path / "text").iterdir())) == len(PROMPTS)
    (batch,) = batches(PROMPTS, seed=0, size=len(PROMPTS))
    alone = replace(dev[0], num_steps=6).build(CPU).generate(batch, backend=Dense(), strategy=Original(), keep=["latents"])
    dense = [
        Samples(path.parent)
        for path in tmp_path.glob("samples/*/000000.npz")
        if "forecast" not in path.with_suffix(".json").read_text()
    ]
    ours = [torch.from_numpy(dense[0].array(i, "latents")) for i in range(len(PROMPTS))]
    assert len(dense) == 1 and torch.equal(torch.stack(ours), alone.arrays["latents"])

    def loaded(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("every prompt is known")

    monkeypatch.setattr(Encoders, "__init__", loaded)
    again = run(*options, "strategy.interval=3", output=tmp_path)
    assert again.content_hash != record.content_hash
