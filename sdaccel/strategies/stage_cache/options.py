"""What a stage cache is told, in the names of seed document 001, and what follows of it for one model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sdaccel.errors import BadInput
from sdaccel.strategies.stage_cache.interpolate import check_mode
from sdaccel.strategies.stage_cache.maps import MAPS, StageMap

KINDS = ("attn", "mlp")
"""Sublayers by the names of the seed; the seam calls the second one ffn."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """The table of seed document 001, with its defaults."""

    skip_stages: list[int] = field(default_factory=list)
    """Stages, by their tokens, whose sublayers may take what the stage before stored."""
    cache_stages: list[int] = field(default_factory=list)
    """Stages that store."""
    enable_attn_cache: bool = True
    enable_mlp_cache: bool = True
    threshold: float = 0.7
    """Reuse where the similarity that a calibration measured is above."""
    max_skip_stages: int = 9
    """Most stages that may be skipped."""
    adaptive_threshold: bool = False
    """The seed's rule: the 80th percentile of the last similarities, which lets a fifth of them through."""
    interpolation_mode: str = "bilinear"
    calibration_samples: int = 100
    """Prompts that a calibration of this configuration takes."""
    similarity_window: int = 20
    """Similarities that the adaptive threshold looks back on."""
    reuse_budget: float | None = None
    """In place of a threshold: the share of the eligible sublayers to reuse, the likest ones."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Sublayers that take part."""
        on = (self.enable_attn_cache, self.enable_mlp_cache)
        return tuple(kind for kind, enabled in zip(KINDS, on, strict=True) if enabled)

    def check_values(self) -> None:
        """Raise BadInput for values that no model could take."""
        if not 0 <= self.threshold <= 1:
            raise BadInput(f"strategy.threshold={self.threshold} is no similarity; give 0 .. 1, where 1 reuses nothing.")
        if self.reuse_budget is not None and not 0 <= self.reuse_budget <= 1:
            raise BadInput(f"strategy.reuse_budget={self.reuse_budget} is no share; give 0 .. 1.")
        if self.reuse_budget is not None and self.adaptive_threshold:
            raise BadInput("strategy.reuse_budget and strategy.adaptive_threshold both set the threshold; choose one.")
        check_mode(self.interpolation_mode)
        for name in ("calibration_samples", "similarity_window"):
            if getattr(self, name) < 1:
                raise BadInput(f"strategy.{name}={getattr(self, name)} must be at least 1.")

    def check_stages(self, stages: StageMap) -> None:
        """Raise BadInput for stages that this model does not have, or that wait for what nothing stores."""
        for name, legal in (("skip_stages", stages.may_skip), ("cache_stages", stages.may_cache)):
            for tokens in getattr(self, name):
                if tokens not in legal:
                    raise BadInput(
                        f"strategy.{name} holds {tokens}, and this model's stages of {_listed(legal)} tokens may stand there; "
                        f"the nearest is {min(legal, key=lambda own: abs(own - tokens))}{_elsewhere(tokens, stages)}."
                    )
        if len(set(self.skip_stages)) > self.max_skip_stages:
            raise BadInput(
                f"strategy.skip_stages={self.skip_stages} are {len(set(self.skip_stages))} stages and strategy.max_skip_stages="
                f"{self.max_skip_stages}; skip fewer, or raise it."
            )
        if broken := without_predecessor(self.skip_stages, self.cache_stages, stages):
            before = stages.tokens[stages.stage(broken[0]) - 1]
            raise BadInput(
                f"strategy.skip_stages holds {broken[0]}, whose predecessor {before} is not in strategy.cache_stages="
                f"{self.cache_stages}; add {before} there, or leave {broken[0]} out."
            )


def without_predecessor(skip: Sequence[int], cache: Sequence[int], stages: StageMap) -> list[int]:
    """Skipped stages that nothing is stored for."""
    return [tokens for tokens in skip if stages.tokens[stages.stage(tokens) - 1] not in cache]


def never_used(skip: Sequence[int], cache: Sequence[int], stages: StageMap) -> list[int]:
    """Stored stages that no skipped one follows."""
    return [tokens for tokens in cache if stages.tokens[stages.stage(tokens) + 1] not in skip]


def _elsewhere(tokens: int, stages: StageMap) -> str:
    known = [name for name, each in MAPS.items() if tokens in each.tokens and tokens not in stages.tokens]
    return f"; strategy.mapping={known[0]} takes the nearest of all" if known else ""


def _listed(tokens: Sequence[int]) -> str:
    return ", ".join(map(str, tokens))
