"""Sheets of trained models: real pictures beside what the model makes of them, from the weights that ship."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sdaccel.cli.zoo import main
from sdaccel.shipped import restore
from sdaccel.zoo.flux_vae import VaeTask
from sdaccel.zoo.next_scale import NextScaleTask
from sdaccel.zoo.sheets import COLUMNS
from sdaccel.zoo.tokenizer import TokenizerTask
from tests.conftest import CONF

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["vqvae_mini", "flux_vae", "var_mini_draft"])
def test_rows_are_pictures_and_the_first_is_real(name: str) -> None:
    tasks: dict[str, Callable[[], Any]] = {
        "vqvae_mini": TokenizerTask,
        "flux_vae": VaeTask,
        "var_mini_draft": lambda: NextScaleTask(2),
    }
    task = tasks[name]()
    with torch.no_grad():
        sheet = task.sheet(restore(name, task.net), CPU)
    assert len(sheet.conditions) == COLUMNS
    real, again = sheet.rows["real"], sheet.rows["reconstructed"]
    assert all(len(images) == COLUMNS and images.shape[1] == 3 for images in sheet.rows.values())
    assert 0 < (real - again).square().mean() < 0.005
    assert (real - again.roll(1, 0)).square().mean() > 0.01  # each beside its own


def test_the_command_draws_a_sheet_without_training(tmp_path: Path) -> None:
    assert main(["model=flux_vae", "train=false", "device=cpu", f"output={tmp_path}"], conf=CONF) == 0
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"sheet.png", "sheet.pdf"}


def test_what_has_not_shipped_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["model=flux_vae", "train=false", "device=cpu", f"output={tmp_path}", f"weights={tmp_path}"]
    assert main(argv, conf=CONF) == 2
    assert "no weights of flux_vae ship" in capsys.readouterr().err
