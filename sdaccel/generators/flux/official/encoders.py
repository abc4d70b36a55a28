"""The published text encoders, transformers' T5 and CLIP, used as diffusers' FluxPipeline does: without attention masks.

CLIP gives the pooled vector and cuts a prompt at its 77 tokens; T5 gives the hidden states and must hold all of it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.generators.pretrained import meta_model, no_progress_bar, tokenizer
from sdaccel.generators.published import Source, opened
from sdaccel.weight_files import check_shapes, shapes_of

CLIP, T5 = "text_encoder", "text_encoder_2"
SAME = (("text_model.", ""), ("encoder.embed_tokens.", "shared."))
"""Parts of names that releases of transformers write in either way."""


class Encoders:
    """Both encoders in memory."""

    def __init__(self, source: Source, *, tokens: int, device: torch.device, dtype: torch.dtype) -> None:
        self.device, self.tokens = device, tokens
        self.clip_words, self.t5_words = tokenizers(source)
        with no_progress_bar():
            self.clip, self.t5 = (
                kind.from_pretrained(source.path / name, local_files_only=True, dtype=dtype).to(device).eval()
                for name, (kind, _) in _classes().items()
            )

    @torch.no_grad()
    def __call__(self, prompt: str) -> tuple[Tensor, Tensor]:
        """(T, W) hidden states and (P,) pooled vector."""
        short = self._ids(self.clip_words, prompt, self.clip_words.model_max_length)
        hidden: Tensor = self.t5(self._ids(self.t5_words, prompt, self.tokens))[0]
        return hidden[0], self.clip(short).pooler_output[0]

    def _ids(self, words: Any, prompt: str, length: int) -> Tensor:
        ids = words([prompt], padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
        return ids.to(self.device)


def tokenizers(source: Source) -> tuple[Any, Any]:
    """CLIP's and T5's."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before transformers)
    from transformers import CLIPTokenizer, T5Tokenizer

    return tokenizer(source, CLIPTokenizer, "tokenizer"), tokenizer(source, T5Tokenizer, "tokenizer_2")


def check_encoders(source: Source, prompts: Sequence[str], *, tokens: int, width: int, pooled: int) -> None:
    """Raise BadInput unless the files fit the transformer and T5 reads every prompt to its end."""
    models = meta_encoders(source)
    for name, model in models.items():
        file = opened(source, source.weights(f"{name}/model"))
        theirs = {_neutral(key): shape for key, shape in file.shapes.items()}
        check_shapes(
            type(file)(file.path, file.option, theirs, file.load), {_neutral(k): s for k, s in shapes_of(model).items()}
        )
    for name, theirs, ours in ((CLIP, models[CLIP].config.hidden_size, pooled), (T5, models[T5].config.d_model, width)):
        if theirs != ours:
            raise BadInput(f"{source.option}={source.value}: {name} is {theirs} wide, the transformer takes {ours}.")
    _, words = tokenizers(source)
    for prompt in prompts:
        count = len(words(prompt).input_ids)
        if count > tokens:
            raise BadInput(
                f"prompt {prompt[:40]!r}… has {count} tokens of T5 and generator.text_tokens is {tokens}; what is beyond would "
                "not be read, so shorten it."
            )


def meta_encoders(source: Source) -> dict[str, Any]:
    """The folder's models without storage."""

    def made(name: str, kind: Any, config: Any) -> Any:
        return meta_model(source, lambda: kind(config.from_pretrained(source.path / name, local_files_only=True)), name)

    return {name: made(name, kind, config) for name, (kind, config) in _classes().items()}


def files(source: Source) -> list[Path]:
    """Everything that decides the embeddings."""
    weights = [file for name in (CLIP, T5) for file in [source.file(f"{name}/config.json"), *source.weights(f"{name}/model")]]
    words = [path for name in ("tokenizer", "tokenizer_2") for path in sorted((source.path / name).iterdir()) if path.is_file()]
    return weights + words


def _classes() -> dict[str, tuple[Any, Any]]:
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before transformers)
    from transformers import CLIPTextConfig, CLIPTextModel, T5Config, T5EncoderModel

    return {CLIP: (CLIPTextModel, CLIPTextConfig), T5: (T5EncoderModel, T5Config)}


def _neutral(key: str) -> str:
    for theirs, ours in SAME:
        key = key.replace(theirs, ours) if key.startswith(theirs) else key
    return key
