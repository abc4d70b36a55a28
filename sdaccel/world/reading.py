"""Read a caption back: the grammar of `captions`, turned round. Together they lose nothing that a sentence states."""

import re
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from sdaccel.errors import BadInput
from sdaccel.world.attributes import COLOURS, COLUMN, FIELDS, KINDS, MATERIALS, RELATIONS, SHAPES, SIDES, SIZES, SLOTS, TONES
from sdaccel.world.captions import Phrasing, changes, decode, neighbours, spoken, tokens

TABLES = {"size": SIZES, "colour": COLOURS, "material": MATERIALS, "shape": SHAPES}


def _one(name: str, table: Sequence[str]) -> str:
    return f"(?P<{name}>{'|'.join(table)})"


def _thing(slot: int) -> str:
    """Article, then size, colour and material where they are said, then the shape."""
    described = "".join(f"(?:{_one(f'{name}{slot}', table)} )?" for name, table in TABLES.items() if name != "shape")
    return rf"(?:an(?= orange)|a(?! orange)) {described}{_one(f'shape{slot}', SHAPES)}"


def _backdrop(place: str, prepositions: str) -> str:
    return f"(?P<{place}>{prepositions}) a {_one(f'tone_{place}', TONES)} {_one(f'kind_{place}', KINDS)} background"


SENTENCE = re.compile(
    f"(?:{_backdrop('before', 'on')} )?(?P<picture>a picture of )?{_thing(0)}"
    f"(?: {_one('relation', RELATIONS)} {_thing(1)}(?: (?P<link>with|and) {_thing(2)} {_one('side', SIDES)} them)?)?"
    f"(?: {_backdrop('after', 'on|against')})?"
)


def read(caption: str) -> tuple[Tensor, Phrasing]:
    """(17,) the facts that a sentence states, -1 for the rest, and how it puts them, as a batch of one."""
    match = SENTENCE.fullmatch(" ".join(spoken(caption)))
    if match is None or (match["before"] and match["after"]):
        raise BadInput(
            f"caption '{caption}' is no sentence of the small world; write such as 'a small red striped circle left of "
            "a medium blue flat star on a grey plain background'."
        )
    said = match.groupdict()
    facts = torch.full((len(FIELDS),), -1)
    relation = RELATIONS.index(said["relation"]) if said["relation"] else -1
    inverse = relation >= SLOTS  # said the other way round: the second object named is object 0
    for slot in range(SLOTS):
        own = 1 - slot if inverse and slot < 2 else slot
        for name, table in TABLES.items():
            if word := said[f"{name}{slot}"]:
                facts[COLUMN[f"{name}{own}"]] = table.index(word)
    facts[COLUMN["count"]] = 2 if said["side"] else 1 if said["relation"] else 0
    facts[COLUMN["relation"]] = relation % SLOTS if relation >= 0 else -1
    facts[COLUMN["side"]] = SIDES.index(said["side"]) if said["side"] else -1
    place = "before" if said["before"] else "after"
    if said[place]:
        facts[COLUMN["tone"]], facts[COLUMN["kind"]] = TONES.index(said[f"tone_{place}"]), KINDS.index(said[f"kind_{place}"])
    background = 2 if said["before"] else {"on": 1, "against": 3, None: 0}[said["after"]]
    sizes = any(said[f"size{slot}"] for slot in range(SLOTS))
    truths = [bool(said["picture"]), sizes, inverse, said["link"] == "and"]
    return facts, Phrasing(torch.tensor([background]), *(torch.tensor([truth]) for truth in truths))


def parse(caption: str) -> Tensor:
    """(17,) the facts that a sentence states, -1 for the rest."""
    return read(caption)[0]


def near_misses(caption: str, *, count: int) -> list[str]:
    """Up to `count` captions put in the same way and false by one attribute; which ones is a function of the caption."""
    facts, phrasing = read(caption)
    facts, said = facts.unsqueeze(0), facts.unsqueeze(0) >= 0
    key = torch.tensor([zlib.crc32(caption.encode())])
    found = neighbours(facts, said, key, count=min(count, int(changes(facts, said)[2].sum())))
    return decode(tokens(found[0], phrasing.repeat(found.shape[1])))
