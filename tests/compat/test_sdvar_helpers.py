"""SDVAR's tools: masks, the models' distance, what is seen of a call, memory of a stage, and the example that is shown."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import sdaccel.compat.sdvar
from sdaccel.compat.sdvar import SDVAR, SDVARHelpers, SDVARProfiler, Watch, create_experimental_masks, visualize_mask_pattern
from sdaccel.compat.sdvar_watch import fault
from sdaccel.errors import BadInput
from sdaccel.strategies.speculative.masks import MASKS, bias
from tests.conftest import ROOT
from tests.strategies.pair import DRAFT, SCALES, SIDES, TARGET

CALL: dict[str, Any] = {"B": 3, "label_B": [1, 3, 4], "g_seed": 7}


@pytest.fixture(scope="module")
def sdvar() -> SDVAR:
    return SDVAR(TARGET, DRAFT)


def test_masks_to_compute_with_are_those_of_the_strategy(sdvar: SDVAR) -> None:
    masks = SDVARHelpers(sdvar).create_experimental_masks(2, patch_nums=SIDES)
    assert list(masks) == list(MASKS)
    assert all(torch.equal(mask, bias(TARGET.layout, entry=2, sd_mask=m)) for m, mask in masks.items())


@pytest.mark.parametrize("entry", range(1, SCALES + 1))
def test_test5_finds_a_model_equal_to_itself_and_another_one_apart(sdvar: SDVAR, entry: int) -> None:
    twins = SDVARHelpers(SDVAR(TARGET, TARGET)).sdvar_autoregressive_infer_cfg_sd_test5(**CALL, entry_num=entry)
    assert twins.largest < 1e-3 and twins.same_likeliest == 1
    apart = SDVARHelpers(sdvar).sdvar_autoregressive_infer_cfg_sd_test5(**CALL, entry_num=entry)
    assert apart.scale == entry - 1 and apart.shape == (3, SIDES[entry - 1] ** 2, TARGET.vocab)
    assert apart.largest > 0.1 and apart.same_likeliest < 1


def test_a_watch_prints_every_scale_saves_every_call_and_leaves_the_samples_alone(
    sdvar: SDVAR, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watched = SDVAR(TARGET, DRAFT, watch=Watch(verbose=True, debug=True, save_to=tmp_path / "kept"))
    images = [watched.sdvar_autoregressive_infer_cfg_parallel_v1(**CALL, more_smooth=smooth) for smooth in (False, True)]
    assert torch.equal(images[0], sdvar.sdvar_autoregressive_infer_cfg_parallel_v1(**CALL))
    SDVARHelpers(watched).sdvar_autoregressive_infer_cfg_sd_test5(**CALL)
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 2 * (1 + SCALES) + 1 and "scale 3: 4 x 4, tokens (3, 16), canvas (3, 4, 4, 4)" in shown
    first, second, said = (load_file(path) for path in sorted((tmp_path / "kept").iterdir()))
    assert torch.equal(second["images"], images[1]) and second["target_f_hat"].shape == (3, SCALES, 4, 4, 4)
    assert first["tokens.3"].shape == (3, 16) and said["draft"].shape == (3, 4, TARGET.vocab)


def test_debug_finds_a_canvas_written_twice_tokens_that_cannot_be_and_a_picture_out_of_range(sdvar: SDVAR) -> None:
    images = sdvar.sdvar_autoregressive_infer_cfg_sd_test3(**CALL, entry_num=2)
    state, target = sdvar.state, sdvar.target_model
    assert state is not None and fault(state, images, target) is None
    twice = state.target_f_hat.clone()
    twice[:, 2] += twice[:, 2] - twice[:, 1]
    lost = [tokens[:, :-1] if k == 3 else tokens for k, tokens in enumerate(state.accepted_tokens)]
    beyond = [tokens + TARGET.vocab if k == 1 else tokens for k, tokens in enumerate(state.accepted_tokens)]
    assert "scale 2 has a canvas" in str(fault(replace(state, target_f_hat=twice), images, target))
    assert "scale 3 has tokens of shape (3, 15)" in str(fault(replace(state, accepted_tokens=lost), images, target))
    assert "scale 1 has tokens" in str(fault(replace(state, accepted_tokens=beyond), images, target))
    assert "outside 0 .. 1" in str(fault(state, images * 2, target))


def test_peaks_are_of_tensors_alive_at_once_and_stand_instead_of_seconds() -> None:
    profiler, before = SDVARProfiler(memory=True), torch.zeros(1000)
    with profiler.stage("two at once"):
        first = before + 1
        second = first * 2
        del first
        second.view(10, 100).add_(1)  # neither a view nor what is written in place is new
        third = second + before
    with profiler.stage("nothing new"):
        before.add_(1)
        del third
    assert profiler.peaks == {"two at once": [2 * 4000], "nothing new": [0]} and not profiler.seconds
    assert profiler.summary()["two at once"] == {"peak_bytes": 8000, "n": 1}


def test_a_peak_grows_with_the_batch(sdvar: SDVAR) -> None:
    profiler = SDVARProfiler(memory=True)
    for rows in (1, 4):
        with profiler.stage(str(rows)):
            sdvar.sdvar_autoregressive_infer_cfg_sd_test3(rows, 2, g_seed=3, entry_num=2)
    one, four = (profiler.peaks[name][0] for name in "14")
    assert 2 * one < four < 5 * one


def test_the_example_of_the_readme_is_the_one_of_the_module_and_runs_on_the_shipped_models(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert example in str(sdaccel.compat.sdvar.__doc__).replace("\n    ", "\n")
    found: dict[str, Any] = {}
    exec(example, found)  # as a script of its own
    assert found["images"].shape == (1, 3, 64, 64) and "scale 9: 16 x 16" in capsys.readouterr().out
    assert found["sdvar"].target_model.config.weights == "shipped:var_mini_target"
    assert found["sdvar"].draft_model.config.weights == "shipped:var_mini_draft"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda h: h.sdvar_autoregressive_infer_cfg_sd_test5(1, 2, entry_num=0), r"entry_num=0 is outside 1 \.\. 4"),
        (lambda h: h.sdvar_autoregressive_infer_cfg_sd_test3(1, 2, entry_num=9), r"entry_num=9 is outside 0 \.\. 4"),
        (lambda h: h.compare_quality(1, 2, entry_num=9), "entry_num=9 is outside"),
        (lambda h: SDVARHelpers("d16"), "needs a pair of models, not str"),  # type: ignore[arg-type]
        (lambda h: h.visualize_mask_pattern(6, 3), r"sd_mask=6 is outside 0 \.\. 5"),
        (lambda h: visualize_mask_pattern(-1, 3), "sd_mask=-1 is outside"),
        (lambda h: visualize_mask_pattern(3, 11), r"entry_num=11 is outside 0 \.\. 9"),
        (lambda h: create_experimental_masks(10), "entry_num=10 is outside"),
        (lambda h: create_experimental_masks(1, patch_nums=[2, 1]), "is no scale list"),
        (lambda h: create_experimental_masks(0, patch_nums=5), "patch_nums=5 is no list of sides"),  # type: ignore[arg-type]
        (lambda h: create_experimental_masks(0, patch_nums=[1]), "give at least two scales"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(sdvar: SDVAR, call: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        call(SDVARHelpers(sdvar))
    assert "\n" not in str(error.value)
