"""Every preset as a configuration: strategy=stage_cache_ultra-fast, on any model."""

from dataclasses import asdict

from hydra.core.config_store import ConfigStore

from sdaccel.strategies.stage_cache.options import Options
from sdaccel.strategies.stage_cache.presets import KEYS, PRESETS, Preset


def configuration(name: str, of: Preset) -> dict[str, object]:
    """What stands in a file of this preset: options that differ from the defaults; stages follow from the map."""
    own, plain = asdict(of.options), asdict(Options())
    differing = {key: own[key] for key in KEYS if key not in ("skip_stages", "cache_stages") and own[key] != plain[key]}
    return {"defaults": ["/schema/strategy/stage_cache@_here_", "_self_"], "stages_of": name, **differing}


for _name, _preset in PRESETS.items():
    ConfigStore.instance().store(group="strategy", name=f"stage_cache_{_name}", node=configuration(_name, _preset))
