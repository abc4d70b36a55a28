"""What transformers reads of a published folder: local files alone, by the class that is named, so none of its code runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError

from sdaccel.errors import BadInput, reason
from sdaccel.generators.published import Source
from sdaccel.weight_files import NONSENSE

WORDS = (("tokenizer_config.json", "tokenizer.json"), ("tokenizer_config.json", "vocab.json", "merges.txt"))
"""Files of a tokenizer, in the one form and in the other."""
HOSTILE = (*NONSENSE, ArithmeticError, StrictDataclassError)
"""What transformers raises on files that nobody wrote for it."""


def tokenizer(source: Source, kind: Any, folder: str = "") -> Any:
    """One of this class; without its files transformers would make up a vocabulary."""
    for name in WORDS[(source.path / folder / "vocab.json").is_file()]:
        source.file(inside(folder, name))
    try:
        return kind.from_pretrained(source.path / folder, local_files_only=True)
    except HOSTILE as error:
        raise unusable(source, folder or "the tokenizer", error) from None


def meta_model(source: Source, make: Callable[[], Any], folder: str = "") -> Any:
    """What `make` makes of the folder's config.json, without storage."""
    source.file(inside(folder, "config.json"))
    try:
        with torch.device("meta"):
            return make()
    except HOSTILE as error:
        raise unusable(source, inside(folder, "config.json"), error) from None


def inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def unusable(source: Source, name: str, error: Exception) -> BadInput:
    return BadInput(f"{source.option}={source.value}: {name} cannot be used ({reason(error)}); fetch it again.")


@contextmanager
def no_progress_bar() -> Iterator[None]:
    """transformers draws one for every model it loads, into the one of the run."""
    import sdaccel.torchvision_guard  # noqa: F401, I001  (before transformers)
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
