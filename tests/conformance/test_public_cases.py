"""Every public golden case through the runner, and the runner's own verdicts."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from sdaccel.generators.var.model import MAX_SCALE
from tests.conformance import run_case, var_cases
from tests.conformance.cases import GOLDENS
from tests.conformance.fill import filled, mean_std

LONG = ("hart_full14",)
"""The published 14 scales of HART: what shorter lists of the same kind show, at a hundred times their cost."""
CASES = [
    pytest.param(path, id=path.stem, marks=[pytest.mark.verify] if path.stem in LONG else [])
    for path in sorted(GOLDENS.rglob("*.json"))
    if path.name != "state_dicts.json"
]
SMALL = GOLDENS / "var" / "var_d3_saln_4scale_topp.json"


def copy_case(source: Path, folder: Path) -> Path:
    for path in (source, source.with_suffix(".npz")):
        shutil.copy(path, folder)
    return folder / source.name


@pytest.mark.parametrize("path", CASES)
def test_public_case_is_within_tolerance(path: Path) -> None:
    lines = run_case.compare(run_case.load(path))
    assert lines
    assert [line for line in lines if not line.passed] == []


def test_filled_models_match_the_state_dicts_file() -> None:
    assert run_case.main([str(GOLDENS / "var" / "state_dicts.json")]) == 0


@pytest.mark.parametrize("array", ["tokens", "logits", "image__sub", "f_hat", "labels_used", "logits_raw_2B__stat"])
def test_a_perturbed_array_fails(tmp_path: Path, array: str) -> None:
    path = copy_case(SMALL, tmp_path)
    arrays = dict(np.load(path.with_suffix(".npz")))
    arrays[array].reshape(-1)[-1] += 1
    np.savez(path.with_suffix(".npz"), **arrays)
    lines = run_case.compare(run_case.load(path))
    assert [line.array for line in lines or [] if not line.passed] == [array]
    assert run_case.main([str(path)]) == 1


def test_an_array_that_nothing_was_compared_with_fails(tmp_path: Path) -> None:
    path = copy_case(SMALL, tmp_path)
    meta = json.loads(path.read_text())
    meta["arrays"]["novelty"] = {"storage": "full", "shape": [1], "dtype": "float32"}
    path.write_text(json.dumps(meta))
    assert run_case.main([str(path)]) == 1


def test_an_unknown_kind_exits_1_with_a_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "odd.json"
    path.write_text(json.dumps({"case": "odd_one", "config": {}}))
    assert run_case.main([str(path)]) == 1
    assert capsys.readouterr().out == "odd_one: unknown kind of case\n"


@pytest.mark.parametrize("content", [None, "{", "[]", json.dumps({"case": "var_x", "arrays": {"tokens": {}}})])
def test_an_unreadable_file_exits_2(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "case.json"
    if content is not None:
        path.write_text(content)
    assert run_case.main([str(path)]) == 2


def test_a_damaged_npz_exits_2(tmp_path: Path) -> None:
    path = copy_case(SMALL, tmp_path)
    path.with_suffix(".npz").write_bytes(b"PK\3\4 nothing")
    assert run_case.main([str(path)]) == 2


def test_overrides_change_mean_and_deviation_but_not_the_draw() -> None:
    plain, moved = filled("head.weight", (4, 9)), filled("head.weight", (4, 9), {"head.weight": [1.0, 2.0]})
    assert np.allclose((moved - 1) / 2, plain * 3, atol=1e-6)
    assert mean_std("blocks.0.attn.q_bias", (8,), {}) == (0.0, 0.1)


def test_logit_scales_beyond_ln_100_are_clamped_so_larger_fills_change_nothing() -> None:
    model = json.loads(SMALL.read_text())["config"]["model"]
    states = [var_cases.build(model | {"fill_overrides": {"scale_mul_1H11": [mean, 0.0]}})[0] for mean in (MAX_SCALE, 7.0, 4.0)]
    maps = torch.randn(1, 29, 16, generator=torch.Generator().manual_seed(0))
    at_limit, beyond, below = (state(torch.tensor([0]), maps) for state in states)
    assert torch.equal(at_limit, beyond)
    assert not torch.equal(at_limit, below)
