"""Captions are true, negatives are false by one attribute, and the tokenizer loses nothing."""

import re
from typing import Any

import pytest
import torch

from sdaccel import world
from sdaccel.errors import BadInput
from sdaccel.world import captions as grammar
from sdaccel.world.attributes import COLOURS, KINDS, MATERIALS, SHAPES, SIZES, TONES, Scenes

THING = r"(?:an?) (?:(small|medium|large) )?(\w+) (\w+) (\w+)"
BACK = r"(?:on|against) a (\w+) (\w+) background"
RELATION = "left of|right of|above|below|in front of|behind"
THIRD = rf"(?: (?:with|and) {THING} (left of|right of|above|below) them)?"
SENTENCE = re.compile(rf"(?:{BACK} )?(?:a picture of )?{THING}(?: ({RELATION}) {THING}{THIRD})?(?: {BACK})?")


def hard_negatives(scenes: Scenes, *, count: int) -> list[list[str]]:
    """False captions of every scene, each one attribute away from `captions`."""
    return [grammar.decode(row) for row in grammar.negative_tokens(scenes, count=count)]


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return world.captioned("test", range(3000))


def parse(sentence: str) -> dict[str, Any]:
    """Read a caption with a grammar of its own: objects in the order they are named, relation, side, background."""
    match = SENTENCE.fullmatch(sentence)
    assert match, sentence
    g = match.groups()
    objects = [g[start : start + 4] for start in (2, 7, 11) if g[start + 3]]
    back = (g[0] or g[16], g[1] or g[17])
    return {"objects": objects, "relation": g[6], "side": g[15], "tone": back[0], "kind": back[1]}


def seen(scenes: Scenes, row: int, slot: int) -> tuple[str, str, str, str]:
    values = (scenes.size, scenes.colour, scenes.material, scenes.shape)
    names = (SIZES, COLOURS, MATERIALS, SHAPES)
    size, colour, material, shape = (table[int(value[row, slot])] for table, value in zip(names, values, strict=True))
    return size, colour, material, shape


def mistakes(scenes: Scenes, row: int, sentence: str) -> list[str]:
    """What a sentence says that the scene does not show, under the reading that is kindest to it."""
    said = parse(sentence)
    count = int(scenes.count[row])
    if len(said["objects"]) != count:
        return ["count"]
    readings = ([0, 1, 2], [1, 0, 2]) if count > 1 else ([0],)
    return min((misread(scenes, row, said, order[:count]) for order in readings), key=len)


def misread(scenes: Scenes, row: int, said: dict[str, Any], order: list[int]) -> list[str]:
    """Mistakes when the objects named stand for the slots in `order`; relations are read from the objects' places."""
    wrong = []
    for slot, words in zip(order, said["objects"], strict=True):
        for name, word, truth in zip(("size", "colour", "material", "shape"), words, seen(scenes, row, slot), strict=True):
            if word is not None and word != truth:
                wrong.append(f"{name}{slot}")
    if said["relation"] and not holds(scenes, row, said["relation"], *order[:2]):
        wrong.append("relation")
    if said["side"] and not all(beside(scenes, row, said["side"], 2, other) for other in (0, 1)):
        wrong.append("side")
    for name, table in (("tone", TONES), ("kind", KINDS)):
        if said[name] is not None and said[name] != table[int(getattr(scenes, name)[row])]:
            wrong.append(name)
    return wrong


def beside(scenes: Scenes, row: int, side: str, a: int, b: int) -> bool:
    (ax, ay), (bx, by) = scenes.centre[row, a].tolist(), scenes.centre[row, b].tolist()
    clear = 0.13  # half a small object
    return {"left of": bx - ax, "right of": ax - bx, "above": by - ay, "below": ay - by}[side] > clear


def holds(scenes: Scenes, row: int, relation: str, a: int, b: int) -> bool:
    """From places and drawing order (a lower slot is painted later), not from the scene's own relation."""
    gap = (scenes.centre[row, 0] - scenes.centre[row, 1]).abs().max() - scenes.radius[row, :2].sum()
    if relation in ("in front of", "behind"):
        return bool(gap < 0) and (a < b) == (relation == "in front of")
    return bool(gap > 0) and beside(scenes, row, relation, a, b)


@pytest.mark.parametrize("complete", [False, True])
def test_captions_say_nothing_but_the_truth(scenes: Scenes, complete: bool) -> None:
    for row, sentence in enumerate(grammar.captions(scenes, complete=complete)):
        assert mistakes(scenes, row, sentence) == [], sentence
        if complete:
            said = parse(sentence)
            assert said["tone"]
            assert all(size for size, *_ in said["objects"])


def test_stated_is_what_the_sentence_says(scenes: Scenes) -> None:
    stated = grammar.stated(scenes.facts, grammar.phrasing(scenes))
    for sentence, row in zip(grammar.captions(scenes), stated, strict=True):
        said = parse(sentence)
        words = sum(word is not None for thing in said["objects"] for word in thing)
        others = sum(said[name] is not None for name in ("relation", "side", "tone", "kind"))
        assert int(row.sum()) == 1 + words + others


def test_articles_agree(scenes: Scenes) -> None:
    for sentence in grammar.captions(scenes):
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", sentence), sentence


def test_phrasings_vary_and_are_the_scenes_own(scenes: Scenes) -> None:
    """Without the attribute words there remain the phrasings: many, and the same for a scene alone."""
    sentences = grammar.captions(scenes)
    attribute = "|".join((*SIZES, *COLOURS, *MATERIALS, *SHAPES, *TONES, *KINDS))
    assert len({re.sub(rf"\b(?:{attribute})\b ?", "", sentence) for sentence in sentences}) > 60
    assert grammar.captions(scenes[5:6]) == [sentences[5]]


def test_hard_negatives_are_false_by_exactly_one_attribute_and_all_different(scenes: Scenes) -> None:
    some = scenes[:500]
    kinds = set()
    true = grammar.captions(some)
    for row, negatives in enumerate(hard_negatives(some, count=8)):
        assert len(set(negatives)) == 8
        for sentence in negatives:
            wrong = mistakes(some, row, sentence)
            assert len(wrong) == 1, (true[row], sentence, wrong)
            kinds.add(wrong[0].rstrip("012"))
            changed = [pair for pair in zip(true[row].split(), sentence.split(), strict=False) if pair[0] != pair[1]]
            assert changed, sentence
    assert kinds == {"size", "colour", "material", "shape", "relation", "side", "tone", "kind"}


def test_too_many_negatives_are_refused(scenes: Scenes) -> None:
    assert all(len(set(row)) == 15 for row in hard_negatives(scenes[:500], count=15))
    with pytest.raises(BadInput, match="count=40"):
        hard_negatives(scenes, count=40)


def test_tokens_are_what_encode_gives_and_decode_gives_them_back(scenes: Scenes) -> None:
    sentences = grammar.captions(scenes)
    tokens = grammar.caption_tokens(scenes)
    assert tokens.shape == (len(scenes), grammar.CONTEXT)
    assert torch.equal(grammar.encode(sentences), tokens)
    assert grammar.decode(tokens) == sentences


def test_the_end_is_where_the_arg_max_pools(scenes: Scenes) -> None:
    tokens = grammar.caption_tokens(scenes)
    assert len(grammar.VOCAB) == len(set(grammar.VOCAB)) < 100
    assert len(grammar.VOCAB) - 1 == grammar.END
    assert grammar.PAD == 0
    assert (tokens[:, 0] == grammar.START).all()
    length = (tokens != grammar.PAD).sum(1)
    assert torch.equal(tokens.argmax(1), length - 1)
    assert torch.equal((tokens == grammar.END).sum(1), torch.ones(len(tokens), dtype=torch.int64))


def test_the_longest_sentence_just_fits() -> None:
    tokens = grammar.caption_tokens(world.captioned("train", range(20_000)), complete=True)
    assert int((tokens != grammar.PAD).sum(1).max()) == grammar.CONTEXT
    assert ((tokens == grammar.END).sum(1) == 1).all()


def test_encode_reads_what_people_type_and_names_what_it_cannot_read() -> None:
    assert torch.equal(
        grammar.encode(["A red STAR, on a navy plain background."]), grammar.encode(["a red star on a navy plain background"])
    )
    with pytest.raises(BadInput, match="'dog' is not in the vocabulary"):
        grammar.encode(["a red dog"])
    with pytest.raises(BadInput, match="at most 2"):
        grammar.encode(["a red star"], length=4)
