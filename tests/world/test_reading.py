"""Reading turns writing round: what a sentence states, and nothing else, comes back."""

import pytest
import torch

from sdaccel import world
from sdaccel.errors import BadInput
from sdaccel.world import captions as grammar
from sdaccel.world.attributes import COLUMN, Scenes
from sdaccel.world.reading import near_misses, parse, read


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return world.captioned("val", range(3000))


@pytest.mark.parametrize("complete", [False, True])
def test_reading_a_caption_gives_the_facts_it_states_and_how_it_puts_them(complete: bool, scenes: Scenes) -> None:
    said = grammar.phrasing(scenes, complete=complete)
    stated = scenes.facts.where(grammar.stated(scenes.facts, said), -1)
    found = [read(sentence) for sentence in grammar.captions(scenes, complete=complete)]
    assert torch.equal(torch.stack([facts for facts, _ in found]), stated)
    again = torch.cat([grammar.tokens(facts.unsqueeze(0), phrasing) for facts, phrasing in found])
    assert torch.equal(again, grammar.caption_tokens(scenes, complete=complete))


def test_a_negative_caption_differs_in_the_one_fact(scenes: Scenes) -> None:
    """Also where the relation is turned round, which no scene holds: then the objects change places."""
    some = scenes[:300]
    for row, sentences in enumerate(map(grammar.decode, grammar.negative_tokens(some, count=6))):
        own = parse(grammar.captions(some[row : row + 1])[0])
        assert all(not torch.equal(parse(sentence), own) for sentence in sentences)


def test_an_inverse_relation_is_turned_round() -> None:
    straight, turned = parse("a red flat star left of a blue ring"), parse("a blue ring right of a red flat star")
    assert torch.equal(straight, turned)
    assert int(parse("a red star behind a blue ring")[COLUMN["colour0"]]) == 5


def test_case_and_punctuation_do_not_count() -> None:
    assert torch.equal(parse("A red STAR, on a navy plain background."), parse("a red star on a navy plain background"))


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("a red dog", "'dog' is not in the vocabulary"),
        ("a red", "no sentence"),
        ("a orange star", "no sentence"),
        ("a star red", "no sentence"),
        ("a red star left of", "no sentence"),
        ("on a navy plain background a red star on a navy plain background", "no sentence"),
        ("", "no sentence"),
    ],
)
def test_what_the_grammar_cannot_write_is_named(caption: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse(caption)


def test_near_misses_are_put_alike_and_false_by_one_fact_each(scenes: Scenes) -> None:
    for caption in grammar.captions(scenes[:60], complete=True):
        found, own = near_misses(caption, count=31), parse(caption)
        assert len(set(found)) == (31 if int(own[COLUMN["count"]]) else 23)
        assert caption not in found
        assert near_misses(caption, count=31) == found
        for other in found[::7]:
            assert not torch.equal(parse(other), own)
            assert len(changed(caption.split(), other.split())) in (1, 2, 3), (caption, other)


def changed(before: list[str], after: list[str]) -> list[str]:
    """The words between what two sentences begin and end with in common; a relation has up to three."""
    while before and after and before[0] == after[0]:
        before, after = before[1:], after[1:]
    while before and after and before[-1] == after[-1]:
        before, after = before[:-1], after[:-1]
    return max(before, after, key=len)


def test_a_short_caption_has_fewer_near_misses() -> None:
    assert len(near_misses("a red star", count=31)) == 7 + 5
