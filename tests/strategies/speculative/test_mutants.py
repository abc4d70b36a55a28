"""The bugs of speculation are bugs: planted in an exact rule they change the target's tokens, and honest arms do not."""

from dataclasses import replace

import pytest
import torch

from sdaccel.errors import BadInput
from sdaccel.strategies.base import Equipped
from sdaccel.strategies.controls import MUTANTS
from sdaccel.strategies.speculative.base import Speculative
from sdaccel.strategies.speculative.coupled import Coupled
from tests.strategies.speculative.pairs import DRAFT, TARGET, batch, built
from tests.studies import frame

TARGET64 = replace(TARGET, dtype="float64", vocab=4, top_p=0)
DRAFT64 = replace(DRAFT, dtype="float64", vocab=4, top_p=0)
OF = batch([1, 2, 3, 4, 0, 1], 8)
STRATEGY = Coupled(draft=DRAFT64, gamma=2)


@pytest.mark.parametrize("mutant", [name for name, mutant in MUTANTS.items() if mutant.of is Speculative])
def test_a_planted_bug_shows_and_leaves_no_trace(mutant: str) -> None:
    runtime, honest = built(TARGET64), Equipped(STRATEGY, {"draft": built(DRAFT64)})
    plain = runtime.generate(OF, backend=None, strategy=None, keep=["tokens"])
    with MUTANTS[mutant].plant(runtime, honest) as planted:
        made = runtime.generate(OF, backend=None, strategy=planted, keep=["tokens"])
    assert not torch.equal(made.arrays["tokens"], plain.arrays["tokens"])
    again = runtime.generate(OF, backend=None, strategy=honest, keep=["tokens"])
    assert torch.equal(again.arrays["tokens"], plain.arrays["tokens"])


def test_a_bug_of_speculation_needs_speculation(tmp_path: object) -> None:
    arms = "+study.arms={a: {mode: original}, b: {mode: scale_skipping, last: 0}}"
    control = "+study.controls={c: {for: b, mode: scale_skipping, last: 1, mutant: unverified, fails: equal}}"
    with pytest.raises(BadInput, match="mutant unverified needs a speculative strategy, not scale_skipping"):
        frame.run("generator=var_tiny", arms, control, "study.baseline=a", "study.checks=[{equal: [a, b]}]", output=tmp_path)  # type: ignore[arg-type]
