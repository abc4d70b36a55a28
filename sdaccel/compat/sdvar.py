"""The public names of SDVAR's documents, for scripts that use them; each is a line or two over what this project does.

    from sdaccel.compat.sdvar import SDVAR, SDVARHelpers, Watch

    sdvar = SDVAR("var_mini_target", "var_mini_draft", watch=Watch(verbose=True))
    images = sdvar.sdvar_autoregressive_infer_cfg_parallel_v1(B=1, label_B=3, gamma=2, cfg=1.5)
    print(sdvar.state.target_calls, SDVARHelpers(sdvar).compare_quality(B=1, label_B=3, entry_num=5))

A model is a generator config, `Var(...)`, or the name of one in conf/generator. `sd_test3` hands over from draft to target
(strategy: handover), `parallel_v1` verifies drafts (strategy: speculative_top1 with policy: seed). Both return images
(B, 3, H, W) in [0, 1] and leave what happened in `sdvar.state`. Noise follows from g_seed and the row alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from hydra.utils import instantiate
from torch import Tensor

from sdaccel.cli import CONF
from sdaccel.compat.sdvar_arguments import SEEDS, device_of, labels_of, number, sampling_of, whole
from sdaccel.compat.sdvar_helpers import SDVARHelpers
from sdaccel.compat.sdvar_masks import create_experimental_masks, visualize_mask_pattern
from sdaccel.compat.sdvar_profiler import SDVARProfiler
from sdaccel.compat.sdvar_watch import Watch
from sdaccel.configuring import composed
from sdaccel.errors import BadInput
from sdaccel.generators.nextscale.seam import ScaleSeam
from sdaccel.generators.nextscale.tokens import Sampling
from sdaccel.generators.var.generator import Var, VarRuntime
from sdaccel.generators.var.sampler import upstream_labels
from sdaccel.noise import sample_seeds
from sdaccel.strategies.speculative.handover import Handover
from sdaccel.strategies.speculative.masks import CORRECT, MASKS
from sdaccel.strategies.speculative.top1 import Top1
from sdaccel.strategies.two_models import check_beside
from sdaccel.studies import compose

__all__ = [
    "SDVAR",
    "SDVARHelpers",
    "SDVARInferenceState",
    "SDVARProfiler",
    "Watch",
    "create_experimental_masks",
    "visualize_mask_pattern",
]

Labels = int | Sequence[int] | Tensor | None
"""One for all pictures, one for each, or None: drawn from g_seed. A negative one is the null class."""


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


@dataclass(frozen=True)
class Begun:
    """One call whose arguments were checked, before its first scale."""

    target: ScaleSeam
    draft: _Sampled
    rows: int
    sampling: dict[str, float]


class SDVAR:
    """A target and a draft that share scales and tokenizer."""

    def __init__(
        self, target: Var | str, draft: Var | str, *, device: torch.device | str = "cpu", watch: Watch | None = None
    ) -> None:
        where = device_of(device)
        target, draft = (_config(name, model) for name, model in (("target", target), ("draft", draft)))
        check_beside("draft", draft, target)
        for model in (target, draft.beside(target)):
            model.check([])
        self.target_model = target.build(where)
        self.draft_model = draft.beside(target).build(where)
        self.watch = watch or Watch()
        self.state: SDVARInferenceState | None = None

    def sdvar_autoregressive_infer_cfg_sd_test3(
        self,
        B: int,
        label_B: Labels,
        g_seed: int | None = None,
        cfg: float = 1.5,
        top_k: int = 0,
        top_p: float = 0.0,
        more_smooth: bool = False,
        entry_num: int = 5,
        sd_mask: int = CORRECT,
    ) -> Tensor:
        """The draft makes the first entry_num scales, the target the others; the mask is the correct one unless asked for."""
        sampling = sampling_of(cfg=cfg, top_k=top_k, top_p=top_p, more_smooth=more_smooth)
        scales = self.target_model.config.steps
        entry = whole("entry_num", entry_num, low=0, high=scales, why=f"0 is the target alone, {scales} the draft")
        sd_mask = whole("sd_mask", sd_mask, low=MASKS[0], high=MASKS[-1], why=f"{CORRECT} is the correct one")
        return self._run("test3", Handover(entry_num=entry, sd_mask=sd_mask), self.begin(B, label_B, g_seed, sampling))

    def sdvar_autoregressive_infer_cfg_parallel_v1(
        self,
        B: int,
        label_B: Labels,
        g_seed: int | None = None,
        cfg: float = 1.5,
        top_k: int = 0,
        top_p: float = 0.0,
        more_smooth: bool = False,
        gamma: int = 2,
        threshold: float = 0.5,
    ) -> Tensor:
        """The draft proposes gamma scales, the target judges them in one pass by the seed's rule."""
        sampling = sampling_of(cfg=cfg, top_k=top_k, top_p=top_p, more_smooth=more_smooth)
        rule = Top1(
            draft=self.draft_model.config,
            gamma=whole("gamma", gamma, low=1, high=self.target_model.config.steps - 1, why="the last scale is never drafted"),
            policy="seed",
            threshold=number("threshold", threshold),
        )
        rule.fits(self.target_model.config, [])
        return self._run("parallel_v1", rule, self.begin(B, label_B, g_seed, sampling))

    def begin(self, B: int, label_B: Labels, g_seed: int | None, sampling: dict[str, float]) -> Begun:
        """Check what every call takes, and start the target."""
        config: Var = replace(self.target_model.config, **sampling)  # type: ignore[arg-type]
        rows = whole("B", B, low=1)
        given = labels_of(label_B, rows=rows)
        config.check([max(label, -1) for label in ([given] if isinstance(given, int) else given or [])])
        seed = int(torch.randint(2**62, ())) if g_seed is None else whole("g_seed", g_seed, low=-SEEDS, high=SEEDS)
        generator = torch.Generator().manual_seed(seed)
        labels = upstream_labels(given, rows=rows, num_classes=config.num_classes, generator=generator)
        device = self.target_model.var.pos_start.device
        target, draft = (_Sampled(model, config.sampling) for model in (self.target_model, self.draft_model))
        return Begun(target.start(labels.to(device), sample_seeds(seed, range(rows)).to(device)), draft, rows, sampling)

    @torch.no_grad()
    def _run(self, name: str, strategy: Handover | Top1, begun: Begun) -> Tensor:
        config = self.target_model.config
        strategy.check(config.steps)
        seam: Any = begun.target
        rule = strategy.start(seam, steps=config.steps, models={"draft": begun.draft})
        rule.decode()
        made, stats = seam.finish(), rule.stats()
        nothing = torch.zeros(begun.rows, dtype=torch.int64)
        self.state = SDVARInferenceState(
            patch_nums=config.scales,
            gamma=getattr(strategy, "gamma", 0),
            sampling=begun.sampling,
            accepted_tokens=list(made.tokens.split(config.layout.lengths(), 1)),
            target_f_hat=made.f_hats,
            target_calls=stats["target_calls"],
            accept_count=stats.get("accepted", nothing),
            reject_count=stats.get("wasted", nothing),
        )
        self.watch.seen(name, self.state, made.images, self.target_model)
        return made.images


def _config(name: str, model: Any) -> Var:
    """The configuration, or the one of this name in conf/generator."""
    if isinstance(model, str):
        known = sorted(path.stem for path in (CONF / "generator").glob("var_*.yaml"))
        if model not in known:
            raise BadInput(f"{name}={model} is no VAR of conf/generator; choose one of {', '.join(known)}.")
        compose.register()
        model = instantiate(composed(f"generator/{model}", [], conf=CONF).generator, _convert_="all")
    if not isinstance(model, Var):
        raise BadInput(
            f"{name} is a {type(model).__name__}; give Var(...) or a name of conf/generator, such as var_mini_target."
        )
    return model
