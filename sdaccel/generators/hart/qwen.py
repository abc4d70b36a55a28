"""The text encoder of the published HART: the language half of Qwen2-VL behind an instruction, through transformers."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.hart.context import positions
from sdaccel.generators.pretrained import meta_model, no_progress_bar, tokenizer
from sdaccel.generators.published import Source, opened
from sdaccel.user_files import json_of
from sdaccel.weight_files import WeightFile, check_shapes, shapes_of

KINDS = ("qwen2_vl", "qwen2")
"""What config.json may call it: with the half that sees, or the language half alone, which is the same model."""
OUTER = re.compile(r"(model\.)?(language_model\.)?(model\.)?")
"""How the names of its weights may begin, after the classes that it was saved as part of."""
OTHERS = ("visual.", "lm_head.")
"""Parts of those classes that read no text."""
INSTRUCTION = """\
Given a user prompt, generate an "Enhanced prompt" that provides detailed visual descriptions suitable for image generation.

Examples:
- User Prompt: A cat sleeping -> A small, fluffy white cat curled up in a round shape, sleeping peacefully on a warm sunny \
windowsill, surrounded by pots of blooming red flowers.
- User Prompt: A busy city street -> A bustling city street scene at dusk, featuring glowing street lamps, a diverse crowd of \
people in colorful clothing, and a double-decker bus passing by towering glass skyscrapers.

Please generate only the enhanced description for the prompt below and DO NOT include any additional sentences. Start your \
response with "Enhanced Prompt:".

User Prompt:
"""
"""What HART reads before every prompt: `llm_system_prompt` of github.com/mit-han-lab/hart (MIT licence), word for word."""


class Qwen:
    """The encoder in memory."""

    def __init__(self, source: Source, *, tokens: int, device: torch.device, dtype: torch.dtype) -> None:
        self.tokens, self.device = tokens, device
        self.words = words(source)
        meta = meta_qwen(source)
        with no_progress_bar():
            model = type(meta).from_pretrained(None, config=meta.config, state_dict=_language(source).load(), dtype=dtype)
        self.model = model.to(device).eval()

    @torch.no_grad()
    def __call__(self, prompt: str) -> tuple[Tensor, Tensor]:
        """(T, W) hidden states of the prompt's tokens and padding, and (T,) positions; the instruction is read and dropped."""
        made = self.words([prompt], padding="max_length", max_length=self.tokens, truncation=True, return_tensors="pt")
        before = self.words([INSTRUCTION], return_tensors="pt").input_ids
        told = made.input_ids != self.words.pad_token_id
        # The model counts its own positions through padding; those that are handed out start anew with the prompt.
        hidden: Tensor = self.model(
            input_ids=torch.cat([before, made.input_ids], 1).to(self.device),
            attention_mask=torch.cat([torch.ones_like(before), told.long()], 1).to(self.device),
            use_cache=False,
        ).last_hidden_state
        return hidden[0, before.shape[1] :].float(), positions(told)[0]


def words(source: Source) -> Any:
    """The tokenizer, which pads and cuts on the sides that its files say; read once as long as they stay the same."""
    return _words(source, tuple(path.stat().st_mtime_ns for path in _described(source)))


@lru_cache(maxsize=1)
def _words(source: Source, modified: tuple[int, ...]) -> Any:
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before transformers)
    from transformers import Qwen2Tokenizer

    made = tokenizer(source, Qwen2Tokenizer)
    if made.pad_token_id is None:
        raise BadInput(f"{source.option}={source.value}: tokenizer_config.json names no pad_token; fetch it again.")
    return made


def meta_qwen(source: Source) -> Any:
    """The language half without storage."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before transformers)
    from transformers import AutoConfig, AutoModel

    kind = json_of(source.file("config.json"), option=source.option, fix="fetch it again").get("model_type")
    if kind not in KINDS:
        raise BadInput(
            f"{source.option}={source.value}: config.json says model_type={kind} where HART reads with "
            f"{' or '.join(KINDS)}; give a folder with the files of huggingface.co/{source.repository}."
        )

    def made() -> Any:
        whole = AutoConfig.from_pretrained(source.path, local_files_only=True, trust_remote_code=False)
        return AutoModel.from_config(whole.get_text_config(), trust_remote_code=False)

    return meta_model(source, made)


def check_qwen(source: Source, *, wide: tuple[str, int]) -> None:
    """Raise BadInput unless the files hold a model whose width is what this option says, and its tokenizer."""
    model, (name, width) = meta_qwen(source), wide
    if (theirs := model.config.hidden_size) != width:
        raise BadInput(f"{source.option}={source.value} has {theirs} where {name} is {width}; give the encoder of this model.")
    check_shapes(_language(source), shapes_of(model))
    if len(words(source)) > model.config.vocab_size:
        raise BadInput(f"{source.option}={source.value}: its tokenizer has more words than the model; fetch it again.")


def cut_short(source: Source, prompts: Sequence[str], *, tokens: int) -> dict[str, int]:
    """Prompts that are longer than what is read, with their lengths."""
    read = words(source)
    lengths = {prompt: len(read(prompt).input_ids) for prompt in prompts}
    return {prompt: length for prompt, length in lengths.items() if length > tokens}


def files(source: Source) -> list[Path]:
    """Everything that decides the embeddings."""
    return [*_described(source), *source.weights("model")]


def _described(source: Source) -> list[Path]:
    """Its configuration and its tokenizer's."""
    return [path for path in sorted(source.path.iterdir()) if path.suffix in (".json", ".txt") and path.is_file()]


def _language(source: Source) -> WeightFile:
    """Its weights by the names that the language half has for them."""
    file = opened(source, source.weights("model"))

    def own(found: Mapping[str, Any]) -> dict[str, Any]:
        named = {OUTER.sub("", name, count=1): value for name, value in found.items()}
        return {name: value for name, value in named.items() if not name.startswith(OTHERS)}

    return WeightFile(file.path, file.option, own(file.shapes), lambda: own(file.load()))
