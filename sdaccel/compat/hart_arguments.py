"""Which HART is meant and what it is asked for, checked before a model is built."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.utils import instantiate

from sdaccel.cli import CONF
from sdaccel.compat.sdvar_arguments import whole
from sdaccel.configuring import composed
from sdaccel.errors import BadInput, choices
from sdaccel.generators.hart.generator import Hart
from sdaccel.generators.hart.text import ENCODER
from sdaccel.studies import compose
from sdaccel.studies.data import HANDFUL
from sdaccel.world import captioned
from sdaccel.world.captions import captions

PUBLISHED = "hart_0.7b"


class HARTForT2IConfig:
    """Upstream's name for a model's configuration; here it makes a `Hart`."""

    @staticmethod
    def from_pretrained(path: str | Path, *, tokenizer_path: str | None = None, text_path: str | None = None) -> Hart:
        """A name of conf/generator, or the published model in this folder, read to by the published text encoder."""
        path = str(path)
        if path in _names():
            compose.register()
            found = instantiate(composed(f"generator/{path}", [], conf=CONF).generator, _convert_="all")
            if not isinstance(found, Hart):
                raise BadInput(f"model {path} is no HART that draws; choose another one of {', '.join(_names())}.")
        else:
            if not os.path.exists(path) and "/" not in path:
                raise BadInput(f"model {path} is neither a name of conf/generator nor a folder; {choices(path, _names())}")
            found = replace(HARTForT2IConfig.from_pretrained(PUBLISHED), weights=path, text_weights=ENCODER)
        vae, text = tokenizer_path or found.vae_weights, text_path or found.text_weights
        return replace(found, vae_weights=vae, text_weights=text)


def is_name(path: str) -> bool:
    """Of conf/generator, and no folder."""
    return path in _names()


def _names() -> list[str]:
    return sorted(path.stem for path in (CONF / "generator").glob("hart_*.yaml"))


def config_of(config: Any) -> Hart:
    """The configuration, or the one that a name or a folder leads to."""
    if isinstance(config, str | Path):
        return HARTForT2IConfig.from_pretrained(config)
    if not isinstance(config, Hart):
        raise BadInput(f"config is a {type(config).__name__}; give Hart(...), a folder, or a name such as hart_mini.")
    return config


def prompts_of(prompts: Any, label_B: Any, *, rows: int) -> list[str]:
    """One for each picture; one prompt stands for all."""
    if prompts is None or label_B is not None:
        asked = "label_B=None asks HART for nothing" if label_B is None else "label_B asks HART for classes, which it has not"
        raise BadInput(f"{asked}: it draws what a text says; give prompts=, one for each of B={rows} pictures, or one for all.")
    given = _texts(prompts)
    if len(given) == 1:
        return given * rows
    if len(given) != rows:
        raise BadInput(f"prompts holds {len(given)} texts for B={rows} pictures; give one for each, or one for all.")
    return given


def _texts(prompts: Any) -> list[str]:
    """One prompt or several."""
    given = [prompts] if isinstance(prompts, str) or not isinstance(prompts, Iterable) else list(prompts)
    if wrong := [prompt for prompt in given if not isinstance(prompt, str) or not prompt.strip()]:
        raise BadInput(f"prompts holds {wrong[0]!r}, which is no text; give words.")
    if not given:
        raise BadInput("prompts is empty; give at least one.")
    return given


def no_filter(*, top_k: Any, top_p: Any) -> None:
    """HART's codes are cut by rank, 600 and then 300 of them, whatever upstream was told."""
    for name, value in (("top_k", top_k), ("top_p", top_p)):
        if value:
            raise BadInput(f"{name}={value} has no effect: HART keeps 600 codes at first and 300 later; leave it out.")


def calibration_prompts(config: Hart, prompts: str | Sequence[str] | None, count: Any, *, option: str) -> list[str]:
    """So many: those given, in turn; else captions of the world's validation scenes, or a handful for a model of any words."""
    count = whole(option, count, low=1)
    if prompts is None and config.of_world:
        return captions(captioned("val", range(count)), complete=True)
    given = _texts(HANDFUL["prompt"] if prompts is None else prompts)
    return [given[i % len(given)] for i in range(count)]
