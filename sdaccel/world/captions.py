"""Say what a scene shows: a small grammar that writes word ids, vectorised, and a tokenizer made of the same words.

A sentence is a row of slots, each a word or nothing; dropping the empty ones leaves the tokens, and joining their words the
caption. How it is phrased (what is left out, which object comes first) is drawn from the scene's own noise.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.noise import Stream, words
from sdaccel.world.attributes import (
    COLOURS,
    COLUMN,
    FIELDS,
    KINDS,
    MATERIALS,
    RELATIONS,
    SHAPES,
    SIDES,
    SIZES,
    SLOTS,
    TONES,
    Scenes,
)
from sdaccel.world.scenes import WORDS, Dice

GLUE = ("a", "an", "picture", "of", "on", "against", "background", "with", "and", "them")
PLACE = ("left", "right", "above", "below", "in", "front", "behind")
VOCAB = ("<pad>", "<start>", *dict.fromkeys((*GLUE, *PLACE, *SIZES, *COLOURS, *MATERIALS, *SHAPES, *TONES, *KINDS)), "<end>")
"""Position = token id. <pad> is 0 and <end> the highest id: text towers that pool at the arg-max find the end."""
IDS = {word: token for token, word in enumerate(VOCAB)}
PAD, START, END = IDS["<pad>"], IDS["<start>"], IDS["<end>"]
CONTEXT = 32
"""Tokens of the longest sentence, start and end included."""
NOTHING = -1
PHRASING_WORDS = 8
"""Words reserved for the phrasing; the choice of hard negatives draws from those after."""


@dataclass(frozen=True)
class Phrasing:
    """How each of B sentences is said, (B,) each."""

    background: Tensor
    """0 left out, 1 `on a ...` last, 2 `on a ...` first, 3 `against a ...` last."""
    picture: Tensor
    """Bool: open with `a picture of`."""
    sizes: Tensor
    """Bool: sizes are said."""
    inverse: Tensor
    """Bool: object 1 comes first and the relation is turned round."""
    joined: Tensor
    """Bool: object 2 is joined by `and` rather than `with`."""

    def repeat(self, times: int) -> "Phrasing":
        """Every phrasing `times` times in a row."""
        return Phrasing(*(value.repeat_interleave(times) for value in vars(self).values()))


def phrasing(scenes: Scenes, *, complete: bool = False) -> Phrasing:
    """Each scene's own phrasing; `complete` ones leave out neither sizes nor background."""
    dice = Dice(scenes.keys, start=WORDS, count=PHRASING_WORDS)
    background, shown = dice.pick(4), 1 + dice.pick(3)
    background = shown if complete else background
    picture = (dice.pick(4) == 0) & (background != 2)
    sizes = (dice.pick(4) > 0) | complete
    return Phrasing(background, picture, sizes, dice.pick(2) == 1, dice.pick(2) == 1)


def _table(names: Sequence[str], device: torch.device) -> Tensor:
    """(names, longest) word ids of every name, NOTHING after the shorter ones; the last row is nothing at all: index -1."""
    rows = [[IDS[word] for word in name.split()] for name in names]
    longest = max(len(row) for row in rows)
    return torch.tensor([row + [NOTHING] * (longest - len(row)) for row in rows] + [[NOTHING] * longest], device=device)


def tokens(facts: Tensor, said: Phrasing) -> Tensor:
    """(B, CONTEXT) int64: the sentences that state the facts (B, 17) with the given phrasing."""
    device, empty = facts.device, torch.full_like(facts[:, 0], NOTHING)

    def names(table: Sequence[str], values: Tensor) -> Tensor:
        return _table(table, device)[values]

    def phrase(text: str, when: Tensor) -> Tensor:
        return _table((text,), device)[when.long() - 1]

    def thing(slot: int) -> Tensor:
        """(B, 5) article, size, colour, material, shape."""
        size, colour, material, shape = (facts[:, COLUMN[f"{name}{slot}"]] for name in ("size", "colour", "material", "shape"))
        size = torch.where(said.sizes, size, empty)
        vowel = (size < 0) & (colour == COLOURS.index("orange"))
        article = torch.where(vowel, IDS["an"], IDS["a"]).masked_fill(shape < 0, NOTHING)
        described = [names(SIZES, size), names(COLOURS, colour), names(MATERIALS, material), names(SHAPES, shape)]
        return torch.cat([article.unsqueeze(1), *described], 1)

    def backdrop(preposition: str, when: Tensor) -> Tensor:
        tone, kind = (names(table, facts[:, COLUMN[name]]) for table, name in ((TONES, "tone"), (KINDS, "kind")))
        parts = [phrase(f"{preposition} a", when), tone.where(when[:, None], NOTHING), kind.where(when[:, None], NOTHING)]
        return torch.cat([*parts, phrase("background", when)], 1)

    relation, side = facts[:, COLUMN["relation"]], facts[:, COLUMN["side"]]
    pair, trio = relation >= 0, side >= 0
    inverse = (said.inverse & pair).unsqueeze(1)
    turned = torch.where(inverse[:, 0], (relation + SLOTS) % len(RELATIONS), relation)
    first, second = thing(0), thing(1)
    sentence = [
        torch.full_like(facts[:, :1], START),
        backdrop("on", said.background == 2),
        phrase("a picture of", said.picture),
        torch.where(inverse, second, first),
        names(RELATIONS, turned),
        torch.where(inverse, first, second),
        phrase("with", trio & ~said.joined),
        phrase("and", trio & said.joined),
        thing(2),
        names(SIDES, side),
        phrase("them", trio),
        backdrop("on", said.background == 1),
        backdrop("against", said.background == 3),
        torch.full_like(facts[:, :1], END),
    ]
    slots = torch.cat(sentence, 1)
    order = torch.argsort((slots == NOTHING).int(), dim=1, stable=True)[:, :CONTEXT]
    return slots.gather(1, order).clamp_(min=PAD)


def stated(facts: Tensor, said: Phrasing) -> Tensor:
    """(B, 17) bool: which of FIELDS each sentence states, the number of objects included."""
    out = facts >= 0
    for name, column in COLUMN.items():
        if name.startswith("size"):
            out[:, column] &= said.sizes
        elif name in ("tone", "kind"):
            out[:, column] &= said.background > 0
    return out


def caption_tokens(scenes: Scenes, *, complete: bool = False) -> Tensor:
    """(B, CONTEXT) the scenes' captions, as `encode` would give them."""
    return tokens(scenes.facts, phrasing(scenes, complete=complete))


def captions(scenes: Scenes, *, complete: bool = False) -> list[str]:
    """One true sentence for every scene."""
    return decode(caption_tokens(scenes, complete=complete))


def negative_facts(scenes: Scenes, *, count: int, complete: bool = False) -> Tensor:
    """(B, count, 17): `neighbours` of what the scenes' captions state."""
    said = stated(scenes.facts, phrasing(scenes, complete=complete))
    return neighbours(scenes.facts, said, scenes.keys, count=count)


def neighbours(facts: Tensor, said: Tensor, keys: Tensor, *, count: int) -> Tensor:
    """(B, count, 17): the facts with one of those that are `said` changed, no two alike; every attribute is as likely.

    A relation of 3 to 5 occurs here only. Where one object overlaps another the relation is only ever turned round, since
    the one in front may well lie to the left, too. Which ones are chosen is drawn from the keys.
    """
    column, value, valid = changes(facts, said)
    if not torch.compiler.is_compiling() and count > int(valid.sum(1).min()):
        raise BadInput(f"count={count}: some captions have only {int(valid.sum(1).min())} neighbours one attribute away.")
    alternatives = (valid.float() @ (column.unsqueeze(0) == column.unsqueeze(1)).float()).long()
    race = words(keys, Stream.CONDITION, start=WORDS + PHRASING_WORDS, count=len(column)) * alternatives
    chosen = race.masked_fill(~valid, 1 << 62).argsort(1)[:, :count]  # (B, count)
    out = facts.unsqueeze(1).repeat(1, count, 1)
    return out.scatter(2, column[chosen].unsqueeze(2), value[chosen].unsqueeze(2))


def changes(facts: Tensor, said: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Every change of one attribute, as column and new value (A,), and which of them make a row false, (B, A)."""
    values = {name: len(RELATIONS) if name == "relation" else size for name, size in FIELDS.items() if name != "count"}
    every = [(COLUMN[name], value) for name, size in values.items() for value in range(size)]
    column, value = torch.tensor(every, device=facts.device).unbind(1)
    old = facts[:, column]
    valid = said[:, column] & (old != value)
    overlap = (column == COLUMN["relation"]) & (old == RELATIONS.index("in front of"))
    return column, value, valid & (~overlap | (value == RELATIONS.index("behind")))


def negative_tokens(scenes: Scenes, *, count: int, complete: bool = False) -> Tensor:
    """(B, count, CONTEXT): captions phrased as the scene's own that differ from it in one attribute, never true of it."""
    wrong = negative_facts(scenes, count=count, complete=complete)
    said = phrasing(scenes, complete=complete).repeat(count)
    return tokens(wrong.flatten(0, 1), said).view(len(scenes), count, CONTEXT)


def spoken(caption: str) -> list[str]:
    """The words of a caption, all of them the world's. Case and punctuation do not count."""
    found = re.findall(r"\w+", caption.lower())
    for word in found:
        if word not in IDS:
            near = difflib.get_close_matches(word, VOCAB[2:-1], n=1, cutoff=0.0)[0]
            raise BadInput(
                f"the word '{word}' is not in the vocabulary of the small world, nearest is '{near}'; data=world_captions "
                "data.limit=N gives captions that its models and metrics read, generator=flux_tiny takes any words."
            )
    return found


def encode(captions: Sequence[str], *, length: int = CONTEXT) -> Tensor:
    """(B, length) int64: <start>, the words, <end>, padding."""
    out = torch.full((len(captions), length), PAD)
    for row, caption in enumerate(captions):
        found = spoken(caption)
        if len(found) + 2 > length:
            raise BadInput(f"caption '{caption}' has {len(found)} words; at most {length - 2} fit into length={length}.")
        out[row, : len(found) + 2] = torch.tensor([START, *(IDS[word] for word in found), END])
    return out


def decode(tokens: Tensor) -> list[str]:
    """The sentences of (B, L) token ids, without start, end and padding."""
    special = (PAD, START, END)
    return [" ".join(VOCAB[token] for token in row if token not in special) for row in tokens.tolist()]
