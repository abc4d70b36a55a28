"""The flags of both of upstream's inference scripts; `-` and `_` are the same in their names."""

import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from sdaccel.cli import Parser
from sdaccel.compat.sdvar_arguments import whole
from sdaccel.errors import BadInput
from sdaccel.strategies.stage_cache.presets import PRESETS
from sdaccel.studies.schema import Config

ON: dict[str, Any] = {"action": "store_true"}
OFF: dict[str, Any] = {"action": "store_false"}
STAGES: dict[str, Any] = {"nargs": "+", "type": int}
FLAGS: dict[str, dict[str, Any]] = {
    "--model_path": {},
    "--tokenizer_path": {},
    "--prompts": {"nargs": "+"},
    "--num_samples": {"type": int},
    "--batch_size": {"type": int},
    "--cfg_scale": {"type": float},
    "--seed": {"type": int},
    "--output_dir": {},
    "--cache_preset": {},
    "--custom_cache_config": {},
    "--skip_stages --cache_skip_stages": STAGES,
    "--cache_stages --cache_cache_stages": STAGES,
    "--threshold --cache_threshold": {"type": float},
    "--interpolation_mode --cache_interpolation_mode": {},
    "--cache_enable_attn": ON | {"dest": "enable_attn_cache"},
    "--cache_disable_attn": OFF | {"dest": "enable_attn_cache"},
    "--cache_enable_mlp": ON | {"dest": "enable_mlp_cache"},
    "--cache_disable_mlp": OFF | {"dest": "enable_mlp_cache"},
    "--cache_adaptive_threshold": ON | {"dest": "adaptive_threshold"},
    "--sim_path": {},
    "--use_cache": ON,  # as the scripts do without it
    "--save_images": ON,  # as every run does
    "--top_k": {"type": int},
    "--top_p": {"type": float},
    "--benchmark": ON,
    "--calibrate --calibration": ON,
    "--compare_configs": ON,
}
"""Names of a flag -> what it takes. The first name, or `dest`, is its attribute."""
KNOWN = [name for names in FLAGS for name in names.split()]
MODES = ("benchmark", "calibrate", "compare_configs")
OF_CACHE = (
    "cache_preset",
    "custom_cache_config",
    "skip_stages",
    "cache_stages",
    "interpolation_mode",
    "enable_attn_cache",
    "enable_mlp_cache",
)
UNUSED = {
    "calibrate": ("prompts", "sim_path", "threshold", "adaptive_threshold"),
    "compare_configs": (*OF_CACHE, "sim_path", "threshold", "adaptive_threshold"),
}
"""What has no effect: a calibration sweeps thresholds over scenes of the small world, a comparison has its presets."""
KEYS = "|".join([*(field.name for field in fields(Config)), "calibration", "exp", "hydra"])
OVERRIDE = re.compile(rf"[+~]{{0,2}}({KEYS})([./@][\w./@-]*)?=")
"""`key=value` of a study; no other text with an equals sign is taken for one, for it may be a prompt."""
USAGE = f"""usage: python -m sdaccel.compat.hart [--FLAG VALUE ...] [--dry-run] [key=value ...]
flags: {", ".join(KNOWN)}
--cache_preset: {", ".join(PRESETS)}
--model_path: a name of conf/generator, hart_mini unless given, or the folder of the published files
key=value: as for sdaccel run, whose --help lists them"""


def split(argv: Sequence[str]) -> tuple[Namespace, list[str]]:
    """What the flags say, None where nothing, and what is `sdaccel run`'s own."""
    own = [argument for argument in argv if OVERRIDE.match(argument) or argument == "--dry-run"]
    given = _parser().parse_args([_named(argument) for argument in argv if argument not in own])
    if given.num_samples is not None:
        whole("--num_samples", given.num_samples, low=1)
    modes = [mode for mode in MODES if getattr(given, mode)]
    if len(modes) > 1:
        raise BadInput(f"--{modes[0]} and --{modes[1]} are two commands; give one of them.")
    for mode in modes:
        for name in UNUSED.get(mode, ()):
            if getattr(given, name) is not None:
                raise BadInput(f"{_flag(name)} has no effect with --{mode}; leave one of them out.")
    if given.cache_preset and given.custom_cache_config:
        raise BadInput("--cache_preset and --custom_cache_config both give the cache; choose one.")
    return given, own


def _parser() -> Parser:
    parser = Parser(add_help=False, allow_abbrev=False, usage="--help lists the flags")
    for names, takes in FLAGS.items():
        parser.add_argument(*names.split(), **takes, default=None)
    return parser


def _named(argument: str) -> str:
    """A flag as it is known here."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    flag = "--" + name[2:].replace("-", "_")
    if flag not in KNOWN:
        near = get_close_matches(flag, KNOWN, n=1, cutoff=0) or KNOWN
        raise BadInput(f"{name} is not a flag of the scripts that is known here; the nearest is {near[0]}.")
    return flag + equals + value


def _flag(attribute: str) -> str:
    return next((name for name in KNOWN if name == f"--{attribute}"), f"--cache_{attribute}")
