"""Laws of the tables: CSV repeats the record digit for digit, LaTeX sets what the record says."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sdaccel.cli.outcome import clocked
from sdaccel.records.view import Record
from sdaccel.reporting import tables
from sdaccel.reporting.build import read
from sdaccel.reporting.ceilings import DECODE_OUT
from sdaccel.reporting.cells import shown
from sdaccel.reporting.tables import Table
from sdaccel.reporting.timing import INTERVAL, SECONDS, SPEEDUP, timing_table


@pytest.fixture
def records(promoted: Path) -> list[Record]:
    return read(promoted)


def rows(table: Table) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(tables.to_csv(table))))


def number(cell: str) -> Any:
    return json.loads(cell) if cell else None


def test_every_verdict_of_the_record_stands_in_the_csv_unrounded(records: list[Record]) -> None:
    found = [
        (r["check"], r["arm"], number(r["measured"]), number(r["bound"]), r["verdict"])
        for r in rows(tables.verdicts(records[0]))
    ]
    words = {True: "pass", False: "fail"}
    assert found == [(v.check, v.arm, v.measured, v.bound, words[bool(v.passed)]) for v in records[0].checks]
    assert any(len(r["measured"]) > 12 for r in rows(tables.verdicts(records[0])))


def test_timings_and_ceilings_stand_in_the_csv_unrounded(records: list[Record]) -> None:
    record = records[1]
    for row in rows(timing_table(record)):
        name, mark = row["arm"].split(" ", 1)
        timed = record.timing.arms[name]
        times, ratio = f"{SECONDS} [p10, p90]", f"{SPEEDUP} {INTERVAL}"
        assert [number(row[f"{times}{end}"]) for end in (" low", "", " high")] == list(vars(timed.seconds).values())[:3]
        assert timed.speedup and number(row[ratio]) == timed.speedup.estimate
        assert number(row[DECODE_OUT]) == record.arms[name].mac_ceiling
        assert row["memory alone, weights in (MiB)"] == "" and timed.memory_bytes is None, "a CPU measures none"
        assert number(row["rounds"]) == 2
        assert len(timed.rounds) == timed.seconds.n == 2 and mark == "(random weights)"
    assert [row["arm"].split()[0] for row in rows(timing_table(record))] == ["baseline", "run"]


def test_the_screen_tells_the_figures_of_the_table(records: list[Record]) -> None:
    found = timing_table(records[1]).rows
    for row, line in zip(found, clocked(records[1]), strict=True):
        assert all(shown(cell, missing="") in line for cell in row)
        assert "decode in" in line and "2 rounds" in line


def test_arms_count_what_they_did_and_how_they_compare(records: list[Record]) -> None:
    baseline, forecast = rows(tables.arms(records[1]))
    assert number(baseline["full"]) == 6 and number(baseline["forecast"]) == 0
    assert number(forecast["full"]) + number(forecast["forecast"]) == 6 and number(forecast["forecast"]) > 0
    paired = records[1].arms["run"].paired
    assert paired and number(forecast["PSNR (dB)"]) == paired.psnr


def test_the_summary_says_which_bugs_were_caught(records: list[Record]) -> None:
    assert [row[-1] for row in tables.summary(records[0]).rows].count("caught") == 9  # missed_ticks takes ten steps to show


def test_a_control_that_got_through_is_not_called_caught(records: list[Record]) -> None:
    blind = replace(records[0], checks=[replace(check, passed=True) for check in records[0].checks])
    assert [row[-1] for row in tables.summary(blind).rows][-4:] == ["NOT CAUGHT"] * 4


def test_latex_is_balanced_and_every_special_character_is_escaped(records: list[Record]) -> None:
    for record in records:
        for table in tables.tables(record).values():
            text = tables.to_latex(table)
            bare = re.sub(r"\\[\\&%$#_{}]", "", text)
            assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
            assert "_" not in bare and "%" not in bare.removeprefix("% \\usepackage")
            begun, ended = re.findall(r"\\begin{(\w+)}", text), re.findall(r"\\end{(\w+)}", text)
            assert begun == ended and len(begun) == 1
            lines = [line for line in text.splitlines() if line.endswith(r"\\")]
            columns = {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines}
            assert columns == {len(table.columns)} and len(lines) == len(table.rows) + 1
            assert text.isascii()


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a_b", r"a\_b"),
        ("50 % & #1 of {x}", r"50 \% \& \#1 of \{x\}"),
        ("[optional]", "{[}optional{]}"),
        (r"C:\temp ~ ^", r"C:\textbackslash{}temp \textasciitilde{} \textasciicircum{}"),
        ("2×", r"2$\times$"),
    ],
)
def test_escaping_leaves_the_reader_the_same_text(text: str, latex: str) -> None:
    assert tables.escape(text) == latex


def test_a_table_too_long_for_a_page_may_break() -> None:
    short, long = (Table(("n",), [(i,) for i in range(rows)]) for rows in (tables.LONG - 1, tables.LONG))
    assert r"\begin{tabular}" in tables.to_latex(short)
    assert r"\begin{longtable}" in tables.to_latex(long) and r"\endhead" in tables.to_latex(long)
