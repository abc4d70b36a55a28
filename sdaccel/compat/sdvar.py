"""The public names of SDVAR's documents, for scripts that use them; each is a line or two over what this project does.

    sdvar = SDVAR(target, draft)          # generator configs: Var(...), or instantiated from conf/generator
    sdvar.sdvar_autoregressive_infer_cfg_parallel_v1(B=1, label_B=281, gamma=2, cfg=1.5)

`sd_test3` hands over from draft to target (strategy: handover), `parallel_v1` verifies drafts (strategy: speculative_top1 with
policy: seed). Both return images (B, 3, H, W) in [0, 1] and leave what happened in `sdvar.state`. Noise follows from g_seed and
the row alone.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from sdaccel.generators.nextscale.layout import Layout
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.generators.nextscale.tokens import Sampling
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.generators.var.model import PATCH_NUMS
from sdaccel.generators.var.sampler import upstream_labels
from sdaccel.measure.floor import synchronize
from sdaccel.measure.timing import summary
from sdaccel.metrics.paired import paired_psnr
from sdaccel.noise import sample_seeds
from sdaccel.strategies.speculative.handover import Handover
from sdaccel.strategies.speculative.masks import CORRECT, first_fed, visibility
from sdaccel.strategies.speculative.top1 import Top1
from sdaccel.strategies.two_models import check_beside

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class SDVARInferenceState:
    """What one call did. Canvas, caches and positions live in the generation itself and end with it."""

    patch_nums: tuple[int, ...]
    gamma: int
    """Scales proposed at most; 0 where nothing is proposed."""
    sampling: dict[str, float]
    """cfg, top_k, top_p, more_smooth."""
    accepted_tokens: list[Tensor]
    """(B, l_k) of every scale."""
    target_f_hat: Tensor
    """(B, K, Cvae, p_K, p_K): the canvas after every scale."""
    target_calls: Tensor
    """(B,): forwards of the target."""
    accept_count: Tensor
    """(B,): drafted scales that were verified and stood."""
    reject_count: Tensor
    """(B,): drafted scales that did not stand, or stood behind one that did not."""

    @property
    def total_stages(self) -> int:
        return len(self.patch_nums)

    @property
    def current_stage(self) -> int:
        """All scales are made."""
        return len(self.accepted_tokens)


@dataclass(frozen=True)
class _Sampled:
    """A model under a call's own sampling."""

    runtime: VarRuntime
    sampling: Sampling

    def start(self, condition: Tensor, seeds: Tensor) -> ScaleSeam:
        return self.runtime.engine.start(condition, seeds, sampling=self.sampling)


class SDVAR:
    """A target and a draft that share scales and tokenizer."""

    def __init__(self, target: Var, draft: Var, *, device: torch.device | str = "cpu") -> None:
        check_beside("draft", draft, target)
        self.target_model = target.build(torch.device(device))
        self.draft_model = draft.beside(target).build(torch.device(device))
        self.state: SDVARInferenceState | None = None

    def sdvar_autoregressive_infer_cfg_sd_test3(
        self,
        B: int,
        label_B: int | Sequence[int] | None,
        g_seed: int | None = None,
        cfg: float = 1.5,
        top_k: int = 0,
        top_p: float = 0.0,
        more_smooth: bool = False,
        entry_num: int = 5,
        sd_mask: int = CORRECT,
    ) -> Tensor:
        """The draft makes the first entry_num scales, the target the others; the mask is the correct one unless asked for."""
        sampling = {"cfg": cfg, "top_k": top_k, "top_p": top_p, "more_smooth": more_smooth}
        return self._run(Handover(entry_num=entry_num, sd_mask=sd_mask), B, label_B, g_seed, sampling)

    def sdvar_autoregressive_infer_cfg_parallel_v1(
        self,
        B: int,
        label_B: int | Sequence[int] | None,
        g_seed: int | None = None,
        cfg: float = 1.5,
        top_k: int = 0,
        top_p: float = 0.0,
        more_smooth: bool = False,
        gamma: int = 2,
        threshold: float = 0.5,
    ) -> Tensor:
        """The draft proposes gamma scales, the target judges them in one pass by the seed's rule."""
        sampling = {"cfg": cfg, "top_k": top_k, "top_p": top_p, "more_smooth": more_smooth}
        return self._run(Top1(gamma=gamma, policy="seed", threshold=threshold), B, label_B, g_seed, sampling)

    @torch.no_grad()
    def _run(
        self,
        strategy: Handover | Top1,
        B: int,
        label_B: int | Sequence[int] | None,
        g_seed: int | None,
        sampling: dict[str, float],
    ) -> Tensor:
        config: Var = replace(self.target_model.config, **sampling)  # type: ignore[arg-type]
        device = self.target_model.var.pos_start.device
        seed = int(torch.randint(2**62, ())) if g_seed is None else g_seed
        generator = torch.Generator().manual_seed(seed)
        labels = upstream_labels(label_B, rows=B, num_classes=config.num_classes, generator=generator)
        config.check([-1 if label == config.num_classes else int(label) for label in labels])
        strategy.check(config.steps)
        seeds = sample_seeds(seed, range(B)).to(device)
        target, draft = (_Sampled(model, config.sampling) for model in (self.target_model, self.draft_model))
        seam: Any = target.start(labels.to(device), seeds)
        rule = strategy.start(seam, steps=config.steps, models={"draft": draft})
        rule.decode()
        made, stats = seam.finish(), rule.stats()
        nothing = torch.zeros(B, dtype=torch.int64)
        self.state = SDVARInferenceState(
            patch_nums=config.scales,
            gamma=getattr(strategy, "gamma", 0),
            sampling=sampling,
            accepted_tokens=list(made.tokens.split(config.layout.lengths(), 1)),
            target_f_hat=made.f_hats,
            target_calls=stats["target_calls"],
            accept_count=stats.get("accepted", nothing),
            reject_count=stats.get("wasted", nothing),
        )
        return made.images


class SDVARHelpers:
    """What SDVAR's documents call helpers: the same image three ways, and what the ways differ in."""

    def __init__(self, sdvar: SDVAR) -> None:
        self.sdvar = sdvar

    def compare_quality(
        self,
        B: int,
        label_B: int | Sequence[int] | None,
        *,
        g_seed: int = 0,
        entry_num: int = 5,
        sd_mask: int = CORRECT,
        **sampling: Any,
    ) -> dict[str, Any]:
        """A handover beside the target alone on the same noise: paired PSNR, and the share of equal tokens at every scale."""
        from sdaccel.predict.writer import to_uint8

        scales = self.sdvar.target_model.config.steps
        made = {}
        for name, entry in (("target", 0), ("draft", scales), ("handover", entry_num)):
            images = self.sdvar.sdvar_autoregressive_infer_cfg_sd_test3(
                B, label_B, g_seed, **sampling, entry_num=entry, sd_mask=sd_mask
            )
            assert self.sdvar.state is not None
            made[name] = images, self.sdvar.state.accepted_tokens
        (theirs, target), (_, draft), (ours, tokens) = made.values()
        return paired_psnr(to_uint8(theirs), to_uint8(ours)) | {
            "equal_to_target": [_share(a, b) for a, b in zip(tokens, target, strict=True)],
            "equal_to_draft": [_share(a, b) for a, b in zip(tokens, draft, strict=True)],
        }


def _share(a: Tensor, b: Tensor) -> float:
    return float((a == b).double().mean())


@dataclass
class SDVARProfiler:
    """Seconds of named stages. The device is waited for at both ends: a GPU returns before its work is done."""

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    seconds: dict[str, list[float]] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        synchronize(self.device)
        start = time.perf_counter()
        yield
        synchronize(self.device)
        self.seconds.setdefault(name, []).append(time.perf_counter() - start)

    def summary(self) -> dict[str, dict[str, float]]:
        """p10, p50, p90 and count of every stage."""
        return {name: summary(seconds) for name, seconds in self.seconds.items()}


def visualize_mask_pattern(sd_mask: int, entry_num: int, *, patch_nums: Sequence[int] = PATCH_NUMS[256]) -> "Figure":
    """Who sees whom in the target's first pass: rows are queries, columns keys, white lines part the scales."""
    from matplotlib.figure import Figure

    layout = Layout(tuple(patch_nums))
    seen = visibility(layout, entry=entry_num, sd_mask=sd_mask).numpy()
    first = first_fed(entry=entry_num, sd_mask=sd_mask)
    figure = Figure(figsize=(3.3, 3.3))
    axes = figure.subplots()
    axes.imshow(seen, cmap="Blues", vmin=0, vmax=1.4, interpolation="nearest")
    for scale in range(first + 1, entry_num + 1):
        edge = layout.row_start(scale) - layout.row_start(first) - 0.5
        axes.axhline(edge, color="white", linewidth=0.8)
        axes.axvline(edge, color="white", linewidth=0.8)
    axes.set_title(f"sd_mask {sd_mask}, scales {first} to {entry_num}")
    axes.set_xlabel("key")
    axes.set_ylabel("query")
    return figure
