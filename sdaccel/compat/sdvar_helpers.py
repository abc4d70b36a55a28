"""What SDVAR's documents call helpers: one image several ways, and what the ways differ in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sdaccel.compat.sdvar_arguments import sampling_of, whole
from sdaccel.compat.sdvar_masks import create_experimental_masks, visualize_mask_pattern
from sdaccel.errors import BadInput
from sdaccel.metrics.paired import paired_psnr
from sdaccel.predict.writer import to_uint8
from sdaccel.strategies.passes import said_of
from sdaccel.strategies.speculative.masks import CORRECT

if TYPE_CHECKING:
    from sdaccel.compat.sdvar import SDVAR, Labels


@dataclass(frozen=True)
class LogitGap:
    """How far draft and target are apart on one scale, behind the same scales before it."""

    scale: int
    shape: tuple[int, ...]
    """Of the guided logits, (B, l, V)."""
    largest: float
    """Difference of two logits."""
    mean: float
    same_likeliest: float
    """Share of tokens whose likeliest code is the same to both."""


class SDVARHelpers:
    """Experiments with a pair of models; the pair's `watch` prints, checks and saves what they make."""

    create_experimental_masks = staticmethod(create_experimental_masks)
    visualize_mask_pattern = staticmethod(visualize_mask_pattern)

    def __init__(self, sdvar: "SDVAR") -> None:
        if not hasattr(sdvar, "sdvar_autoregressive_infer_cfg_sd_test3"):
            raise BadInput(f"SDVARHelpers needs a pair of models, not {type(sdvar).__name__}; give it SDVAR(target, draft).")
        self.sdvar = sdvar
        self.sdvar_autoregressive_infer_cfg_sd_test3 = sdvar.sdvar_autoregressive_infer_cfg_sd_test3

    @torch.no_grad()
    def sdvar_autoregressive_infer_cfg_sd_test5(
        self,
        B: int,
        label_B: "Labels" = None,
        *,
        g_seed: int | None = None,
        cfg: float = 1.5,
        top_k: int = 0,
        top_p: float = 0.0,
        more_smooth: bool = False,
        entry_num: int = 2,
    ) -> LogitGap:
        """The draft makes the scales before entry_num - 1; both models say what that scale should be, and are compared."""
        scales = self.sdvar.target_model.config.steps
        last = whole("entry_num", entry_num, low=1, high=scales, why="the scale before it is compared") - 1
        sampling = sampling_of(cfg=cfg, top_k=top_k, top_p=top_p, more_smooth=more_smooth)
        begun = self.sdvar.begin(B, label_B, g_seed, sampling)
        target, draft = begun.target, begun.draft.start(begun.target.condition, begun.target.seeds)
        for scale in range(last):
            draft.full(scale)
        target.adopt(draft, last)
        said, drafted = (said_of(seam, last, first=first).logits for seam, first in ((target, 0), (draft, last)))
        gap = (said - drafted).abs()
        same = (said.argmax(-1) == drafted.argmax(-1)).double().mean()
        found = LogitGap(last, tuple(said.shape), float(gap.max()), float(gap.mean()), float(same))
        if self.sdvar.watch.verbose:
            print(f"test5: {found}")
        self.sdvar.watch.save("test5", {"target": said, "draft": drafted})
        return found

    def compare_quality(
        self,
        B: int,
        label_B: "Labels",
        *,
        g_seed: int = 0,
        entry_num: int = 5,
        sd_mask: int = CORRECT,
        **sampling: Any,
    ) -> dict[str, Any]:
        """A handover beside the target alone on the same noise: paired PSNR, and the share of equal tokens at every scale."""
        scales = self.sdvar.target_model.config.steps
        made = {}
        for name, entry in (("handover", entry_num), ("target", 0), ("draft", scales)):
            images = self.sdvar.sdvar_autoregressive_infer_cfg_sd_test3(
                B, label_B, g_seed, **sampling, entry_num=entry, sd_mask=sd_mask
            )
            assert self.sdvar.state is not None
            made[name] = images, self.sdvar.state.accepted_tokens
        (ours, tokens), (theirs, target), (_, draft) = made.values()
        return paired_psnr(to_uint8(theirs), to_uint8(ours)) | {
            "equal_to_target": [_share(a, b) for a, b in zip(tokens, target, strict=True)],
            "equal_to_draft": [_share(a, b) for a, b in zip(tokens, draft, strict=True)],
        }


def _share(a: Tensor, b: Tensor) -> float:
    return float((a == b).double().mean())
