"""A study's verdict: all claims together, and what is open is open, for controls too."""

from dataclasses import replace

import pytest

from sdaccel.records.view import Evidence
from sdaccel.studies.arms import Arm
from sdaccel.studies.checks.base import Verdict, failures, word
from sdaccel.studies.checks.family import corrected


def said(arm: str, passed: bool | None, p: float | None = None, *, control: bool = False) -> Verdict:
    evidence = None if p is None else Evidence(-1, 1, p, 1)
    return Verdict("non_inferior m", arm, "a", 0.0, 1.0, passed, "here", None, control, evidence=evidence)


def planted(name: str) -> Arm:
    return Arm(name, {}, None, None, None, {}, mutant="bug", stands_for="b", fails="non_inferior m")


def test_one_claim_of_many_has_to_be_surer() -> None:
    alone = corrected([said("b", True, 0.03)])
    assert alone[0].passed is True and alone[0].evidence and alone[0].evidence.adjusted == 0.03
    together = corrected([said("b", True, 0.03), said("c", False, 0.001), said("d", None, 0.5)])
    assert [v.passed for v in together] == [None, False, None]
    assert [v.evidence.adjusted for v in together if v.evidence] == pytest.approx([0.06, 0.003, 0.5])
    assert "among 3 claims p is 0.06" in together[0].where


def test_controls_and_exact_checks_are_no_part_of_the_family() -> None:
    found = corrected([said("b", True, 0.03), said("bug", False, 0.04, control=True), said("c", True)])
    assert [v.passed for v in found] == [True, False, True]
    assert [v.evidence and v.evidence.adjusted for v in found] == [0.03, None, None]


@pytest.mark.parametrize(
    ("honest", "control", "wanted"),
    [
        (True, False, "pass"),
        (None, False, "open"),
        (True, None, "open"),
        (False, None, "fail"),
        (True, True, "fail"),
        (None, True, "fail"),
    ],
)
def test_a_study_passes_where_all_is_decided(honest: bool | None, control: bool | None, wanted: str) -> None:
    verdicts, arms = [said("b", honest), said("bug", control, control=True)], [planted("bug")]
    assert word(verdicts, arms) == wanted
    assert any("not caught" in reason for reason in failures(verdicts, arms)) == (control is True)


def test_what_else_is_said_of_a_control_does_not_matter() -> None:
    other = replace(said("bug", None, control=True), check="equal")
    assert word([said("b", True), said("bug", False, control=True), other], [planted("bug")]) == "pass"
    assert word([], []) == "no claim"
