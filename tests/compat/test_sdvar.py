"""The names of SDVAR's documents, and that each is this project's own strategy under another name."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from sdaccel.compat.sdvar import SDVAR, SDVARHelpers, SDVARProfiler, Watch, visualize_mask_pattern
from sdaccel.errors import BadInput
from sdaccel.noise import sample_seeds
from sdaccel.strategies.base import Equipped
from sdaccel.strategies.speculative.masks import CORRECT, MASKS, visibility
from sdaccel.strategies.speculative.top1 import Top1
from tests.strategies.pair import DRAFT, SCALES, SIDES, TARGET

SAMPLING: dict[str, Any] = {"cfg": TARGET.cfg, "top_k": TARGET.top_k, "top_p": TARGET.top_p}
LABELS = [1, 3, 4]
handed: Any = SDVAR.sdvar_autoregressive_infer_cfg_sd_test3
verified: Any = SDVAR.sdvar_autoregressive_infer_cfg_parallel_v1


@pytest.fixture(scope="module")
def sdvar() -> SDVAR:
    return SDVAR(TARGET, DRAFT)


def batch(labels: list[int], g_seed: int) -> Any:
    from sdaccel.conditions import Batch

    return Batch(tuple(labels), sample_seeds(g_seed, range(len(labels))), {i: i for i in range(len(labels))})


@pytest.mark.parametrize(("entry", "model"), [(0, "target_model"), (SCALES, "draft_model")])
def test_the_ends_of_test3_are_the_models_alone(sdvar: SDVAR, entry: int, model: str) -> None:
    images = sdvar.sdvar_autoregressive_infer_cfg_sd_test3(3, LABELS, g_seed=7, **SAMPLING, entry_num=entry)
    alone = getattr(sdvar, model).generate(batch(LABELS, 7), backend=None, strategy=None, keep=["tokens"])
    assert torch.equal(images, alone.images)
    assert sdvar.state is not None and sdvar.state.current_stage == sdvar.state.total_stages == SCALES
    assert torch.equal(torch.cat(sdvar.state.accepted_tokens, 1), alone.arrays["tokens"])
    assert sdvar.state.target_calls.tolist() == [SCALES - entry] * 3


def test_parallel_v1_is_the_seeds_rule_with_the_seeds_gamma(sdvar: SDVAR) -> None:
    images = sdvar.sdvar_autoregressive_infer_cfg_parallel_v1(B=3, label_B=LABELS, g_seed=7, gamma=2, threshold=0.2, **SAMPLING)
    rule = Equipped(Top1(gamma=2, policy="seed", threshold=0.2), {"draft": sdvar.draft_model})
    ours = sdvar.target_model.generate(batch(LABELS, 7), backend=None, strategy=rule, keep=["tokens"])
    assert torch.equal(images, ours.images)
    state = sdvar.state
    assert state is not None and state.gamma == 2
    assert torch.equal(state.target_calls, ours.stats["target_calls"])
    assert torch.equal(state.accept_count + state.reject_count, ours.stats["drafted"])


def test_the_documented_call_works_and_follows_from_its_seed(sdvar: SDVAR) -> None:
    def run(**options: Any) -> torch.Tensor:
        return sdvar.sdvar_autoregressive_infer_cfg_parallel_v1(B=1, label_B=2, gamma=2, cfg=1.5, **options)

    assert run().shape == (1, 3, TARGET.image_size, TARGET.image_size)
    assert torch.equal(run(g_seed=3), run(g_seed=3)) and not torch.equal(run(g_seed=3), run(g_seed=4))


def test_an_image_does_not_depend_on_how_many_are_made_with_it(sdvar: SDVAR) -> None:
    made = []
    for n in (1, 2):
        sdvar.sdvar_autoregressive_infer_cfg_sd_test3(n, 2, g_seed=3, entry_num=2)
        assert sdvar.state is not None
        made.append(torch.cat(sdvar.state.accepted_tokens, 1)[0])
    assert torch.equal(*made)


def test_a_negative_label_is_the_null_class_and_none_is_drawn_from_the_seed(sdvar: SDVAR) -> None:
    call = sdvar.sdvar_autoregressive_infer_cfg_sd_test3
    null = sdvar.draft_model.generate(batch([-1, -1], 3), backend=None, strategy=None)
    assert torch.equal(call(2, -1, g_seed=3, **SAMPLING, entry_num=SCALES), null.images)
    assert torch.equal(call(2, None, g_seed=3, entry_num=0), call(2, None, g_seed=3, entry_num=0))


def test_helpers_tell_where_two_runs_part(sdvar: SDVAR) -> None:
    helpers = SDVARHelpers(sdvar)
    same = helpers.compare_quality(3, LABELS, entry_num=0, **SAMPLING)
    assert same["identical"] == 3 and same["psnr"] is None and same["equal_to_target"] == [1.0] * SCALES
    mixed = helpers.compare_quality(3, LABELS, entry_num=2, **SAMPLING)
    assert mixed["equal_to_draft"][:2] == [1.0, 1.0] and mixed["equal_to_target"][1] < 1
    assert mixed["psnr"] is not None and mixed["identical"] < 3


def test_the_profiler_keeps_every_stage_and_waits_for_the_device() -> None:
    profiler = SDVARProfiler()
    for _ in range(3):
        with profiler.stage("draft"):
            torch.randn(10, 10) @ torch.randn(10, 10)
    with profiler.stage("target"):
        pass
    found = profiler.summary()
    assert list(found) == ["draft", "target"] and found["draft"]["n"] == 3
    assert 0 <= found["draft"]["p10"] <= found["draft"]["p90"]


@pytest.mark.parametrize("of", [torch.tensor, np.array, tuple])
def test_labels_may_come_in_a_tensor_an_array_or_a_tuple(sdvar: SDVAR, of: Any) -> None:
    assert torch.equal(handed(sdvar, 3, of(LABELS), 3, entry_num=2), handed(sdvar, 3, LABELS, 3, entry_num=2))
    one = 2 if of is tuple else of(2)
    assert torch.equal(handed(sdvar, 3, one, 3, entry_num=2), handed(sdvar, 3, 2, 3, entry_num=2))


@pytest.mark.parametrize("sd_mask", MASKS)
def test_a_mask_is_drawn_as_it_is(sd_mask: int) -> None:
    (axes,) = visualize_mask_pattern(sd_mask, 3, patch_nums=SIDES).axes
    drawn = np.asarray(axes.images[0].get_array()).astype(bool)
    assert (drawn == visibility(TARGET.layout, entry=3, sd_mask=sd_mask).numpy()).all()
    assert f"scales {0 if sd_mask else 3} to 3" in axes.get_title()


def test_the_default_mask_is_the_correct_one(sdvar: SDVAR) -> None:
    call = sdvar.sdvar_autoregressive_infer_cfg_sd_test3
    default = call(1, 2, 3, entry_num=3)
    right, other = (call(1, 2, 3, entry_num=3, sd_mask=sd_mask) for sd_mask in (CORRECT, 0))
    assert torch.equal(default, right) and not torch.equal(default, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.sdvar_autoregressive_infer_cfg_sd_test3(1, 2, entry_num=5), r"entry_num=5 is outside 0 \.\. 4"),
        (lambda s: s.sdvar_autoregressive_infer_cfg_sd_test3(1, 2, sd_mask=7, entry_num=1), r"sd_mask=7 is outside 0 \.\. 5"),
        (lambda s: s.sdvar_autoregressive_infer_cfg_parallel_v1(1, 2, gamma=0), "gamma=0 is outside"),
        (lambda s: s.sdvar_autoregressive_infer_cfg_parallel_v1(1, 2, threshold=2), "threshold=2 must lie"),
        (lambda s: s.sdvar_autoregressive_infer_cfg_parallel_v1(1, 2, top_k=257), "top_k=257 is outside"),
        (lambda s: s.sdvar_autoregressive_infer_cfg_parallel_v1(1, 9), "label 9 is no class"),
        (lambda s: handed(s, 1, 2, entry_num=2.0), r"entry_num=2.0 is no integer"),
        (lambda s: handed(s, 1, 2, entry_num=-1), "entry_num=-1 is outside"),
        (lambda s: handed(s, 1, 2, sd_mask=-1, entry_num=1), "sd_mask=-1 is outside"),
        (lambda s: handed(s, 0, 2, entry_num=1), "B=0 is less than 1"),
        (lambda s: handed(s, "3", 2, entry_num=1), "B='3' is no integer"),
        (lambda s: handed(s, True, 2, entry_num=1), "B=True is no integer"),
        (lambda s: verified(s, 1, [1, 2]), "label_B holds 2 labels for B=1 pictures"),
        (lambda s: verified(s, 3, torch.tensor([1, 2])), "label_B holds 2 labels for B=3"),
        (lambda s: verified(s, 1, torch.tensor([1.0])), r"label_B\[0\]=1.0 is no integer"),
        (lambda s: verified(s, 1, torch.tensor([[1]])), r"label_B\[0\]=\[1\] is no integer"),
        (lambda s: verified(s, 1, "cat"), "label_B='cat' is no integer"),
        (lambda s: verified(s, 2, [1, 5]), "label 5 is no class"),
        (lambda s: verified(s, 1, 2, g_seed=2**64), "g_seed=18446744073709551616 is outside"),
        (lambda s: verified(s, 1, 2, g_seed=0.5), "g_seed=0.5 is no integer"),
        (lambda s: verified(s, 1, 2, cfg="1.5"), "cfg='1.5' is no finite number"),
        (lambda s: verified(s, 1, 2, cfg=float("nan")), "cfg=nan is no finite number"),
        (lambda s: verified(s, 1, 2, top_p=1.5), "top_p=1.5 is no probability"),
        (lambda s: verified(s, 1, 2, more_smooth=1), "more_smooth=1 is neither True nor"),
        (lambda s: verified(s, 1, 2, gamma=1.5), "gamma=1.5 is no integer"),
        (lambda s: verified(s, 1, 2, threshold=None), "threshold=None is no finite"),
        (lambda s: SDVAR("var_mini_taget", DRAFT), "target=var_mini_taget is no VAR of conf/generator"),
        (lambda s: SDVAR(TARGET, s.draft_model), "draft is a VarRuntime"),
        (lambda s: SDVAR(TARGET, DRAFT, device="tpu"), "device='tpu' is no device"),
        (lambda s: SDVAR(TARGET, DRAFT, device="meta"), "device=meta is not supported"),
        (lambda s: Watch(save_to=__file__), "cannot be a folder"),
        (lambda s: Watch(save_to=5), "save_to=5 cannot be a folder"),  # type: ignore[arg-type]
        (lambda s: SDVARProfiler("gpu"), "device='gpu' is no device"),  # type: ignore[arg-type]
        (lambda s: SDVARProfiler(torch.device("cuda", 99)), "device=cuda:99 is not there"),
        (
            lambda s: verified(SDVAR(replace(TARGET, engine="autocast", dtype="bfloat16"), DRAFT), 1, 2),
            "rows of a batch part ways",
        ),
        (lambda s: SDVAR(TARGET, replace(DRAFT, patch_nums=[1, 2, 4])), "both must paint the same scales"),
        (lambda s: SDVAR(TARGET, replace(DRAFT, init_seed=1)), "two tokenizers"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(sdvar: SDVAR, call: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message) as error:
        call(sdvar)
    assert "\n" not in str(error.value)
