"""What the command lines of seed documents 000 and 001 mean here: overrides of `sdaccel run`.

Only what is given counts: a flag that is left out leaves the preset, and the model, as they are.
"""

import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from sdaccel.cli import CONF
from sdaccel.compat.hart_arguments import PUBLISHED, HARTForT2IConfig, calibration_prompts, is_name, no_filter
from sdaccel.compat.hart_config import HARTCacheConfig
from sdaccel.compat.hart_flags import OF_CACHE, USAGE, split
from sdaccel.compat.hart_similarity import read
from sdaccel.compat.launch import launch
from sdaccel.errors import BadInput
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.hart.text import ENCODER
from sdaccel.strategies.stage_cache.maps import StageMap, map_of
from sdaccel.strategies.stage_cache.options import Options
from sdaccel.strategies.stage_cache.presets import PRESETS, preset

COMPARED = ("no-cache", "conservative-cache", "original-cache", "aggressive-cache", "ultra-fast")
"""The lines of document 001's table of expected figures; the first is the baseline."""
SAMPLES, ROUNDS = 4, 10
"""Pictures, and timed rounds of a benchmark, unless --num_samples says how many."""
SWEPT = ("strategy.threshold", "strategy.adaptive_threshold")
GROUP = re.compile(r"[A-Za-z_][\w-]*")
GIVES_SIMILARITY = ("calibration", "strategy.force", "strategy.similarity", "strategy.calibrate")


def overrides(argv: Sequence[str]) -> list[str]:
    """What a script's arguments mean; `key=value` and `--dry-run` stay as they are, and win."""
    given, own = split(argv)
    no_filter(top_k=given.top_k, top_p=given.top_p)
    path = given.model_path or "hart_mini"
    config = HARTForT2IConfig.from_pretrained(path)
    replaced = {key.lstrip("+~"): value for key, _, value in (override.partition("=") for override in own)}
    meant = _calibration(given, config) if given.calibrate else _drawn(given, config, replaced)
    meant = _model(path) | _plain(given) | meant
    return [f"{key}={value}" for key, value in meant.items() if key.lstrip("+") not in replaced] + own


def _model(path: str) -> dict[str, str]:
    if is_name(path):
        return {"generator": path}
    return {"generator": PUBLISHED, "generator.weights": quoted(path), "generator.text_weights": ENCODER}


def _plain(given: Namespace) -> dict[str, str]:
    """What is the same under another name."""
    named = {
        "generator.vae_weights": given.tokenizer_path and quoted(given.tokenizer_path),
        "generator.cfg": given.cfg_scale,
        "data.batch_size": given.batch_size,
        "seed": given.seed,
        "output": given.output_dir and quoted(given.output_dir),
    }
    return {key: str(value) for key, value in named.items() if value is not None}


def _drawn(given: Namespace, config: Hart, replaced: Mapping[str, str]) -> dict[str, str]:
    """Pictures under the cache, beside the model alone; or under presets side by side."""
    stages = map_of(config.scales)
    if given.compare_configs:
        return _arms(stages) | _data(given, config)
    named, options = _options(given, stages)
    cached = _strategy(named, options, stages)
    if cached["strategy"] != "original":
        cached |= _alike(given, config, replaced)
    if "strategy.calibrate" not in cached:
        cached.pop("strategy.calibration_samples", None)
    return cached | _data(given, config)


def _options(given: Namespace, stages: StageMap) -> tuple[str | None, Options]:
    """What a file or a preset says, and above it what was given by itself; the preset's name where its stages stand."""
    own: dict[str, Any] = {field.name: getattr(given, field.name, None) for field in fields(HARTCacheConfig)}
    own = {name: value for name, value in own.items() if value is not None}
    named = None
    if given.custom_cache_config:
        base = HARTCacheConfig.from_json(given.custom_cache_config)
    elif given.cache_preset is None and given.skip_stages:
        base = HARTCacheConfig()
    else:
        named = _full(given.cache_preset or "original-cache")
        base = HARTCacheConfig.of(preset(named, stages))
    elsewhere = own.keys() & {"skip_stages", "cache_stages"}
    return None if elsewhere else named, replace(base, **own).fitted(stages)


def _strategy(named: str | None, options: Options, stages: StageMap) -> dict[str, str]:
    """The preset's configuration, or a cache, with what is not as it would be anyway."""
    if not HARTCacheConfig.of(options).is_cache_enabled():
        return {"strategy": "original"}
    name = f"stage_cache_{named}" if named else "stage_cache"
    own, usual = asdict(options), asdict(preset(named, stages) if named else Options())
    return {"strategy": name} | {f"strategy.{key}": _written(own[key]) for key in own if own[key] != usual[key]}


def _full(name: str) -> str:
    """The second script writes some presets without `-cache`."""
    return f"{name}-cache" if f"{name}-cache" in PRESETS else name


def _arms(stages: StageMap) -> dict[str, str]:
    for name in COMPARED:
        preset(name, stages)  # refused here, by its own name
    cached = {"strategy": [f"stage_cache_{name}" for name in COMPARED[1:]], "calibrate": True}
    return {"study.baseline": COMPARED[0], "+study.arms": _written({COMPARED[0]: {"strategy": "original"}, "cached": cached})}


def _alike(given: Namespace, config: Hart, replaced: Mapping[str, str]) -> dict[str, str]:
    """Where similarities come from: a file, what `key=value` says, or samples that the study measures before its own."""
    if given.sim_path:
        read(given.sim_path, config)
        return _chosen(given.sim_path)
    return {} if replaced.keys() & {*GIVES_SIMILARITY} else {"strategy.calibrate": "true"}


def _chosen(path: str) -> dict[str, str]:
    """Overrides that take such a file: Hydra finds it as an option of the group that its folder is."""
    file = Path(path).resolve()
    group, taken = file.parent.name, (CONF / file.parent.name).is_dir() and file.parent.name != "calibration"
    if file.suffix != ".yaml" or not GROUP.fullmatch(group) or not GROUP.fullmatch(file.stem) or taken:
        raise BadInput(f"sim_path={path} cannot be named to a study; call it NAME.yaml, in a folder named calibration.")
    return {"hydra.searchpath": f"[{quoted(f'file://{file.parent.parent}')}]", f"+{group}": file.stem}


def _data(given: Namespace, config: Hart) -> dict[str, str]:
    """The prompts in turn; models of the small world have captions without end."""
    once = given.prompts or [""] * ((given.batch_size or 1) if given.benchmark else SAMPLES)
    asked = given.num_samples
    count = len(once) if given.benchmark or asked is None else asked
    timed = {"study.timing.repeats": str((ROUNDS if asked is None else asked) if given.benchmark else 0)}
    made = {"data.limit": str(count)} | ({} if given.compare_configs else timed)
    if given.prompts is None and config.of_world:
        return made
    texts = calibration_prompts(config, given.prompts, count, option="--num_samples")
    return {"data.prompts": f"[{','.join(map(quoted, texts))}]"} | made


def _calibration(given: Namespace, config: Hart) -> dict[str, str]:
    """Thresholds over scenes of the small world, for the stages that are asked for or the study's own."""
    if not config.of_world:
        raise BadInput(
            f"--calibrate judges pictures of the small world and --model_path {given.model_path} draws others; give hart_mini, "
            "or measure percentiles with EnhancedHARTForT2I.calibrate_thresholds."
        )
    asked = any(getattr(given, name) is not None for name in OF_CACHE)
    stages = map_of(config.scales)
    own = _strategy(*_options(given, stages), stages) if asked else {}
    count = str(given.num_samples or SAMPLES)
    found = {"+exp": "threshold_calibration"} | {key: value for key, value in own.items() if key not in SWEPT}
    return found | {
        "strategy.calibration_samples": count,
        "data.limit": count,
        "data.batch_size": str(given.batch_size or count),
    }


def _written(value: Any) -> str:
    """A value of options as Hydra's command line takes it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_written, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def quoted(text: str) -> str:
    """A text as one of Hydra's strings, where backslashes before a quote or the end are doubled."""
    inner = re.sub(r'(\\*)"', r'\1\1\\"', text)
    return '"' + re.sub(r"(\\+)$", r"\1\1", inner) + '"'


def main() -> int:
    return launch(overrides, usage=USAGE)
