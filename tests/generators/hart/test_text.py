"""Laws of HART's text: what the published encoder hands out and where it stands, kept to the bit, and never in the way."""

import gc
import json
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sdaccel.torchvision_guard  # noqa: F401

# isort: split
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import pre_tokenizers
from torch import Tensor
from transformers import (
    Qwen2Config,
    Qwen2Model,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    T5Config,
)

from sdaccel.errors import BadInput
from sdaccel.generators.flux.runtime import random_init
from sdaccel.generators.hart import qwen
from sdaccel.generators.hart.context import Context
from sdaccel.generators.hart.qwen import INSTRUCTION, Qwen
from sdaccel.generators.hart.text import Kept, Reader, check_text, make_reader, reading, text_identity, text_notes
from sdaccel.generators.pretrained import no_progress_bar

CPU = torch.device("cpu")
TOKENS, WIDTH, PAD = 12, 32, 256
SIZES: dict[str, Any] = {"vocab_size": 260, "hidden_size": WIDTH, "intermediate_size": 48, "num_hidden_layers": 2} | {
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "bos_token_id": None,
    "eos_token_id": PAD,
}
ROPE = {"rope_type": "default", "rope_theta": 1e4}
PROMPTS = ["a red cat", "dog"]
LONG = "a dog and a cat\nin a bed"
WORLD = ["a red flat circle", "a blue striped star on a grey plain background"]


def encoder() -> Any:
    """A random Qwen2-VL, its seeing half included."""
    text = SIZES | {"rope_parameters": ROPE | {"mrope_section": [1, 1, 2]}}
    seeing = {"depth": 1, "embed_dim": 16, "hidden_size": WIDTH, "num_heads": 2}
    made: Any = Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=seeing)).eval()
    random_init(made, seed=1)
    return made


def saved(folder: Path, *, side: str = "right") -> Path:
    """The encoder and a tokenizer that knows bytes, as transformers writes them."""
    with no_progress_bar():
        encoder().save_pretrained(folder)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words: Any = Qwen2Tokenizer(
        vocab={letter: i for i, letter in enumerate(letters)} | {"<|endoftext|>": PAD}, merges=[], padding_side=side
    )
    words.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("qwen"))


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """One to spoil."""
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def reader(value: Path | str | None, *, tokens: int = TOKENS, width: int = WIDTH) -> Reader:
    where = None if value is None else str(value)
    return make_reader(where, tokens=tokens, width=width, device=CPU, dtype=torch.float32)


def same(one: Context, other: Context) -> bool:
    return torch.equal(one.hidden, other.hidden) and torch.equal(one.positions, other.positions)


def by_hand(folder: Path, prompt: str, *, left: bool) -> Tensor:
    """The whole of transformers' model on the instruction, the prompt's bytes and the padding around them."""
    words: Any = Qwen2Tokenizer.from_pretrained(folder)
    before, ids = (words(text).input_ids for text in (INSTRUCTION, prompt))
    padding = [PAD] * (TOKENS - len(ids))
    row = before + (padding + ids if left else ids + padding)
    mask = torch.ones(1, len(row), dtype=torch.long)
    mask[0, [i for i, word in enumerate(row) if word == PAD]] = 0
    places = torch.arange(len(row)).expand(3, 1, -1)
    model = encoder()
    with torch.no_grad():
        out = model(torch.tensor([row]), attention_mask=mask, position_ids=places, output_hidden_states=True)
    hidden: Tensor = out.hidden_states[-1]
    return hidden[0, -TOKENS:]


@pytest.mark.parametrize(("side", "places"), [("right", [0, 1, 2, *[2] * 9]), ("left", [*[-1] * 9, 0, 1, 2])])
def test_a_prompt_is_read_behind_the_instruction_and_padded_where_the_tokenizer_says(
    side: str, places: list[int], tmp_path: Path
) -> None:
    folder = saved(tmp_path, side=side)
    told = reader(folder).read(["dog"])
    assert told.hidden.dtype == torch.float32 and told.positions.dtype == torch.int64
    assert told.positions.tolist() == [places]
    torch.testing.assert_close(told.hidden[0], by_hand(folder, "dog", left=side == "left"), atol=1e-5, rtol=1e-5)


def test_the_instruction_decides_the_states_and_is_not_among_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = reader(folder).read(PROMPTS)
    monkeypatch.setattr(qwen, "INSTRUCTION", "Draw: ")
    other = reader(folder).read(PROMPTS)
    assert told.hidden.shape == other.hidden.shape == (2, TOKENS, WIDTH)
    assert torch.equal(told.positions, other.positions)
    assert ((told.hidden - other.hidden).abs().amax(-1) > 1e-3).all()


def test_the_language_half_alone_reads_the_same(folder: Path, copy: Path) -> None:
    """As a repository that came before transformers knew Qwen2-VL must hold it."""
    alone: Any = Qwen2Model(Qwen2Config(**SIZES, rms_norm_eps=1e-5, rope_parameters=ROPE))
    alone.load_state_dict(encoder().model.language_model.state_dict())
    (copy / "model.safetensors").unlink()
    with no_progress_bar():
        alone.save_pretrained(copy)
    assert json.loads((copy / "config.json").read_text())["model_type"] == "qwen2"
    check_text(str(copy), PROMPTS, tokens=TOKENS, width=WIDTH)
    torch.testing.assert_close(reader(copy).read(PROMPTS).hidden, reader(folder).read(PROMPTS).hidden, atol=1e-5, rtol=1e-5)


def test_what_was_kept_is_what_was_computed_in_any_company(folder: Path, tmp_path: Path) -> None:
    first = reader(folder)
    first.prepare(PROMPTS, folder=tmp_path / "text")
    later = reader(folder)
    assert isinstance(later, Kept)
    later.prompts.encoders = lambda: pytest.fail("every prompt is known")
    later.prepare(PROMPTS, folder=tmp_path / "text")
    assert same(later.read(PROMPTS), reader(folder).read(PROMPTS))
    assert same(later.read(PROMPTS[1:]), reader(folder).read(PROMPTS[1:]))


def test_other_files_are_other_texts(folder: Path, copy: Path, tmp_path: Path) -> None:
    cache = tmp_path / "text"
    reader(folder).prepare(PROMPTS[:1], folder=cache)
    assert text_identity(str(copy)) == text_identity(str(folder))
    spoil(copy / "model.safetensors", lambda state: state["model.norm.weight"].mul_(2))
    assert len({*text_identity(str(copy))} - {*text_identity(str(folder))}) == 1
    changed = reader(copy)
    changed.prepare(PROMPTS[:1], folder=cache)
    assert len(list(cache.iterdir())) == 2
    assert torch.equal(changed.read(PROMPTS[:1]).hidden, 2 * reader(folder).read(PROMPTS[:1]).hidden)


def test_the_encoder_is_gone_before_the_first_picture(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Any]] = []
    first = Qwen.__init__

    def watched(self: Qwen, *args: Any, **options: Any) -> None:
        first(self, *args, **options)
        made.extend([weakref.ref(self), weakref.ref(self.model.embed_tokens.weight)])

    monkeypatch.setattr(Qwen, "__init__", watched)
    held = reader(folder)
    held.prepare(PROMPTS, folder=tmp_path)
    gc.collect()
    assert len(made) == 2 and [ref() for ref in made] == [None, None]
    assert len(held.read(PROMPTS)) == 2 and len(made) == 2


def test_of_a_prompt_that_is_too_long_the_beginning_is_read_and_one_line_says_so(folder: Path) -> None:
    notes = text_notes(str(folder), [*PROMPTS, LONG, LONG], tokens=TOKENS)
    assert notes == [f"prompt {LONG!r}… has {len(LONG)} tokens and HART reads the first {TOKENS}"]
    assert "\n" not in notes[0]
    assert text_notes(None, [LONG], tokens=TOKENS) == text_notes("shipped:clip_mini", [LONG], tokens=TOKENS) == []
    told = reader(folder).read([LONG])
    assert told.positions.tolist() == [list(range(TOKENS))]
    assert same(told, reader(folder).read([LONG[:TOKENS]]))


@pytest.mark.parametrize(("value", "tokens", "width"), [(None, 5, 6), ("shipped:clip_mini", 32, 96)])
def test_other_readers_say_the_same_of_a_prompt_at_any_time_and_in_any_company(
    value: str | None, tokens: int, width: int, tmp_path: Path
) -> None:
    check_text(value, WORLD, tokens=tokens, width=width)
    own = reader(value, tokens=tokens, width=width)
    own.prepare(WORLD, folder=tmp_path)
    told = own.read(WORLD)
    assert told.hidden.shape == (2, tokens, width) and told.hidden.dtype == torch.float32
    again = reader(value, tokens=tokens, width=width).read(WORLD[::-1])
    assert same(told, Context(again.hidden.flip(0), again.positions.flip(0)))
    assert same(own.read(WORLD[1:]), Context(told.hidden[1:], told.positions[1:]))
    assert not torch.equal(told.hidden[0], told.hidden[1])


def test_positions_count_words_and_not_their_padding() -> None:
    assert reader(None, tokens=3).read(["", "a"]).positions.tolist() == [[0, 1, 2]] * 2
    told = reader("shipped:clip_mini", tokens=32, width=96).read(WORLD[:1])
    assert told.positions.tolist() == [[0, 1, 2, 3, 4, 5, *[5] * 26]], "<start>, four words, <end>"


def test_what_is_kept_costs_no_reading_but_its_weights(folder: Path) -> None:
    macs, (model,) = reading(str(folder), tokens=TOKENS)
    assert macs == 0 and sum(p.numel() for p in model.parameters()) == sum(
        p.numel() for p in encoder().model.language_model.parameters()
    )
    macs, _ = reading("shipped:clip_mini", tokens=32)
    assert macs > 0 and reading(None, tokens=TOKENS) == (0.0, [])


def spoil(path: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    state = load_file(path)
    change(state)
    save_file(state, path, {"format": "pt"})


def refused(value: Path | str, *, tokens: int = TOKENS, width: int = WIDTH, prompts: list[str] = PROMPTS) -> str:
    with pytest.raises(BadInput) as caught:
        check_text(str(value), prompts, tokens=tokens, width=width)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_missing_file_is_named(name: str, copy: Path) -> None:
    check_text(str(copy), PROMPTS, tokens=TOKENS, width=WIDTH)
    (copy / name).unlink()
    assert f"{name} is missing; it comes from huggingface.co/mit-han-lab/Qwen2-VL-1.5B-Instruct" in refused(copy)


def test_files_of_another_model_are_refused(folder: Path, copy: Path) -> None:
    assert f"has {WIDTH} where generator.context_width is 40" in refused(folder, width=40)
    spoil(copy / "model.safetensors", lambda state: state.pop("model.layers.1.mlp.up_proj.weight"))
    assert "key layers.1.mlp.up_proj.weight (48, 32) is missing" in refused(copy)
    T5Config().save_pretrained(copy)
    assert "config.json says model_type=t5 where HART reads with qwen2_vl or qwen2" in refused(copy)
    (copy / "config.json").write_text("[]")
    assert "holds no JSON object" in refused(copy)


def test_a_tokenizer_that_does_not_fit_is_refused(copy: Path) -> None:
    path = copy / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"pad_token": None}))
    assert "tokenizer_config.json names no pad_token" in refused(copy)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("nowhere", "generator.text_weights=nowhere does not exist; give an open_clip folder"),
        ("no/where", "generator.text_weights=no/where is no path and not in the hub's cache"),
        (__file__, "is a file; give the folder"),
        ("shipped:clip_mini", "has 32 where generator.context_tokens is 12; set generator.context_tokens=32"),
    ],
)
def test_a_value_that_leads_nowhere_is_refused(value: str, says: str) -> None:
    assert says in refused(value)


def test_words_that_a_small_tower_does_not_know_are_refused() -> None:
    assert "the word 'elephant'" in refused("shipped:clip_mini", tokens=32, width=96, prompts=["a red elephant"])
