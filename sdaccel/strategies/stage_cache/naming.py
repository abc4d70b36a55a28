"""Stages of a stage cache by the model's own tokens, by those of another map, or by the name of a preset."""

from dataclasses import dataclass, replace
from typing import Self

from sdaccel.errors import BadInput, choices
from sdaccel.strategies.stage_cache.maps import MAPS, StageMap
from sdaccel.strategies.stage_cache.options import Options
from sdaccel.strategies.stage_cache.presets import PRESETS, adapted, preset


@dataclass(frozen=True, kw_only=True)
class Naming(Options):
    """Options whose stages may wait for the model's map."""

    stages_of: str | None = None
    """In place of stages: those that this preset has for the model's map."""
    mapping: str | None = None
    """The map that the stages are named by, v1 or v2: they go to the model's nearest ones. None: the model's own."""

    def check_naming(self) -> None:
        """Raise BadInput for stages that are named twice, or by what nobody knows."""
        if self.stages_of is not None and self.stages_of not in PRESETS:
            raise BadInput(f"strategy.stages_of={self.stages_of} is no preset; {choices(self.stages_of, PRESETS)}")
        for name in ("skip_stages", "cache_stages", "mapping"):
            if self.stages_of is not None and getattr(self, name):
                raise BadInput(
                    f"strategy.stages_of={self.stages_of} gives the stages and strategy.{name}={getattr(self, name)}, too; "
                    "leave one out."
                )
        if self.mapping is None:
            return
        if self.mapping not in MAPS:
            raise BadInput(f"strategy.mapping={self.mapping} is unknown; {choices(self.mapping, MAPS)}")
        for tokens in (*self.skip_stages, *self.cache_stages):
            if tokens not in MAPS[self.mapping].tokens:
                raise BadInput(
                    f"strategy.mapping={self.mapping} has no stage of {tokens} tokens; leave out the stage, or the mapping."
                )

    @property
    def skips(self) -> bool:
        """Some stage may reuse, whatever the map."""
        return bool(self.skip_stages if self.stages_of is None else PRESETS[self.stages_of].on(MAPS["v1"]).skip_stages)

    @property
    def usual_samples(self) -> set[int]:
        """Of a calibration, where nobody asks for another number."""
        own = [] if self.stages_of is None else [PRESETS[self.stages_of].options.calibration_samples]
        return {Options.calibration_samples, *own}

    @property
    def said(self) -> str:
        """Where the stages are from."""
        return f"skip_stages={self.skip_stages}" if self.stages_of is None else f"stages_of={self.stages_of}"

    def on(self, stages: StageMap) -> Self:
        """The same for this model's stages; BadInput where it cannot run there."""
        named: Options = self
        if self.stages_of is not None:
            named = preset(self.stages_of, stages)
        elif self.mapping is not None:
            named = adapted(self, stages)
        else:
            self.check_stages(stages)
        return replace(self, skip_stages=named.skip_stages, cache_stages=named.cache_stages, stages_of=None, mapping=None)
