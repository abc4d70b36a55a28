"""Laws of the README's results: each is what the committed records say, and nothing else states one."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sdaccel.cli.report import main
from sdaccel.errors import BadInput
from sdaccel.records.read import load
from sdaccel.records.view import Metric, Record
from sdaccel.reporting.build import read as records_of
from sdaccel.reporting.numbers import Number
from sdaccel.reporting.readme import MARKED, Lines, filled, read, told
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = read(ROOT / "reports" / "readme.yaml")
RESULT = re.compile(
    r"\d ?%|\d ?(dB|ms|s|GiB|GB|MB)\b|\d[x×](?!\w)|\d (\w+ )?times\b|\[-?[\d.]+, -?[\d.]+\]"
    r"|\b(FID|KID|CMMD|PSNR|SSIM|accuracy|CLIP score)\b[^.|]*\d|\b(faster|slower|better|worse|as good)\b"
)
"""What a sentence of a measurement looks like."""
NO_RESULTS = (
    "after anything else its 95 % interval",
    "what comes nearest at equal evaluations",
    "are the fast engine's pictures as good as the reference's?",
    "A check on a metric holds or fails only where all of a 95 % interval does",
    "FID, KID and CMMD come with 95 % intervals whose coverage is simulated",
    "SSIM is ours, torchmetrics' to 1e-12",
    "with a 95 % bootstrap interval on its logarithm",
)
"""Sentences that look so and say how things are measured, or ask."""
SPEED = ROOT / "reports/results/flux_speed/flux_speed-a2a216b3e313-65e5e1.json"
EAGER = ROOT / "reports/results/var_eager/var_eager-35840a1712d4-785a1d.json"


@pytest.fixture(scope="module")
def committed() -> list[Record]:
    return records_of(ROOT / "reports")


@pytest.fixture(scope="module")
def quality(committed: list[Record]) -> Record:
    (record,) = [record for record in committed if record.id == LINES["engine_quality"].records["gpu"]]
    return record


def test_every_digit_of_its_results_comes_from_the_records(committed: list[Record]) -> None:
    """The README as committed is what is written over one whose results are all wrong."""
    wrong = MARKED.sub(lambda found: found[0].replace(found[2], re.sub(r"\d", "7", found[2])), README)
    assert wrong != README
    assert filled(wrong, LINES, committed) == README


def test_another_value_in_the_record_is_another_sentence(quality: Record) -> None:
    arm = quality.arms["eager"]
    other = replace(arm, metrics={**arm.metrics, "fid": Metric(6.25, 6.0, 6.5, 10000)})
    changed = replace(quality, arms={**quality.arms, "eager": other})
    before, after = (told(LINES["engine_quality"], [record]) for record in (quality, changed))
    assert "5.60 [5.34, 5.87]" in before
    assert "6.25 [6.00, 6.50]" in after and "5.60" not in after


def sentences(readme: str) -> list[str]:
    """Of all prose and rows of tables outside of markers and code; a sentence over several lines is one."""
    prose = re.sub(r"^```.*?^```|`[^`]*`", "", MARKED.sub("", readme), flags=re.DOTALL | re.MULTILINE)
    joined = re.sub(r"\n(?![\n|#-])", " ", prose)
    return re.split(r"(?<=[.:;]) +|\n", joined)


def test_nothing_outside_the_markers_states_a_result() -> None:
    stated = [sentence for sentence in sentences(README) if RESULT.search(sentence)]
    assert len(stated) == len(NO_RESULTS), stated
    assert [known for known, said in zip(NO_RESULTS, stated, strict=True) if known not in said] == []


def test_a_result_over_two_lines_is_one_sentence() -> None:
    broken = README + "\nFar ahead, FID\nfalls to 5.0 there.\n"
    assert any(RESULT.search(sentence) and "Far ahead" in sentence for sentence in sentences(broken))


@pytest.mark.parametrize(
    "sentence",
    [
        "HiCache takes 1.72 s for the loop.",
        "The fast engine is 3.6x the reference.",
        "It is faster than diffusers.",
        "FID falls to 5.0 there.",
        "Judge accuracy is within 2 % of it.",
        "It reaches 0.058 [0.048, 0.072].",
    ],
)
def test_such_a_sentence_is_recognised(sentence: str) -> None:
    assert RESULT.search(sentence)


def test_no_figure_is_typed_into_a_text() -> None:
    """Where a number with a point or in percent stands in a text, it is a setting or a bound."""
    typed = {name: re.findall(r"\d+\.\d+|\d ?%", re.sub(r"\{[^}]*\}", "", lines.text)) for name, lines in LINES.items()}
    assert {name: found for name, found in typed.items() if found} == {
        "bench_hart_engine": ["0.7"],
        "engine_quality": ["5 %"],
        "hicache_sweep": ["0.7071", "0.6", "0.85"],
        "small_models": ["3.5"],
    }


SAID = Lines(records={"speed": SPEED.stem}, numbers={"s": "speed/timing/arms/s12/seconds"}, text="{s:.2f} ({speed})")
FULL, HALF = "speed/timing/arms/compiled/seconds", "speed/timing/arms/s12/seconds"


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        (HALF, "1.96 [1.96, 2.03]"),
        (["ratio", FULL, HALF], "3.64"),
        (["ms", HALF], "1959.03 [1956.18, 2032.65]"),
        (["GiB", "speed/timing/arms/s12/peak_bytes"], "2.39"),
        ("speed/tables/arms/s12 (random weights)/PSNR (dB)", "26.10"),
    ],
    ids=str,
)
def test_a_number_of_a_path(expression: str | list[str], shown: str) -> None:
    lines = replace(SAID, numbers={"s": expression})
    assert told(lines, [load(SPEED)]) == f"{shown} (`flux_speed`, H200, 3 rounds, random weights)"


def test_a_check_goes_by_its_name_and_arm(quality: Record) -> None:
    lines = Lines(
        records={"engine": quality.id}, numbers={"x": "engine/checks/equivalent fid bfloat16/measured"}, text="{x} {engine}"
    )
    assert told(lines, [quality]).startswith("0.0217832 `engine_quality`, H200, N = 10000")
    lines = replace(lines, numbers={"x": "engine/checks/equivalent fid bfloat/measured"})
    with pytest.raises(BadInput, match="no equivalent fid bfloat; did you mean equivalent fid bfloat16"):
        told(lines, [quality])


def test_a_share_reads_as_percent_and_a_text_has_none() -> None:
    assert f"{Number(0.959, 0.95, 0.967):.0%}" == "96 % [95, 97]"
    assert f"{Number(0.959, 0.95, 0.967).alone:.1%}" == "95.9 %"
    with pytest.raises(BadInput, match="'pass' is a text"):
        format(Number("pass"), ".0%")


WRONG = [
    (
        {"numbers": {"s": "speed/timing/arms/s13/seconds"}},
        f"record {SPEED.stem} has no timing/arms/s13/seconds: no s13; did you mean",
    ),
    ({"numbers": {"s": "speed/tables/arms/s12 (random weights)/PSNR"}}, "no column PSNR; did you mean PSNR (dB)?"),
    ({"numbers": {"s": "speed/tables/arms/hicache/PSNR (dB)"}}, "rows begin with hicache/"),
    ({"numbers": {"s": "other/verdict"}}, "path other/verdict begins with no record of its text"),
    ({"numbers": {"s": "speed/timing"}}, "has no value that can be shown"),
    ({"numbers": {"s": ["product", "speed/verdict"]}}, "is no number; write PATH"),
    ({"numbers": {"s": ["ms", "speed/verdict"]}}, "'no claim' is a text"),
    (
        {"records": {"speed": "flux_speed-000000000000"}},
        "record flux_speed-000000000000 is not in reports/results",
    ),
    ({"numbers": {"s": ["minus", "speed/timing/arms", "speed/timing/arms"]}}, "are not one number per sample"),
    ({"text": "{s:.2q} ({speed})"}, "its text cannot be filled"),
    ({"text": "{s:.2f ({speed})"}, "its text cannot be"),
    ({"text": "{s}"}, "{speed} must be in the text and in its records or numbers"),
]


@pytest.mark.parametrize(("change", "reason"), WRONG, ids=[reason for _, reason in WRONG])
def test_what_no_record_holds_is_one_sentence(change: dict[str, object], reason: str) -> None:
    with pytest.raises(BadInput, match=re.escape(reason)):
        told(replace(SAID, **change), [load(SPEED)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("readme", "reason"),
    [
        ("no marker", "results fast must stand once in README.md and in reports/readme.yaml"),
        ("<!-- results: fast -->\n<!-- /results -->\n" * 2, "results fast must stand once"),
        ("<!-- results: fast -->\n<!-- /results -->\n<!-- results: slow -->\n", "README.md has a marker without its partner"),
        (
            "<!-- results: fast -->\n<!-- /results -->\n<!-- results: slow -->\n<!-- /results -->",
            "results slow must stand once",
        ),
    ],
)
def test_markers_and_texts_belong_together(readme: str, reason: str) -> None:
    with pytest.raises(BadInput, match=re.escape(reason)):
        filled(readme, {"fast": SAID}, [load(SPEED)])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A README of one result beside a report of one record."""
    place = tmp_path / "reports" / "results" / "var_eager"
    place.mkdir(parents=True)
    for path in EAGER.parent.glob(f"{EAGER.stem}*"):
        shutil.copy(path, place)
    (tmp_path / "README.md").write_text("Before.\n<!-- results: rounds -->\n<!-- /results -->\nAfter.\n")
    return tmp_path


def entry(path: str) -> str:
    return yaml.safe_dump(
        {"rounds": {"records": {"eager": EAGER.stem}, "numbers": {"v": path}, "text": "It is {v} ({eager})."}}
    )


def test_a_report_writes_them_and_a_second_one_changes_nothing(checkout: Path) -> None:
    (checkout / "reports" / "readme.yaml").write_text(entry("eager/verdict"))
    assert main(["--reports", str(checkout / "reports")]) == 0
    text = (checkout / "README.md").read_text()
    assert re.fullmatch(r"Before\.\n<!-- .* -->\nIt is no claim \(`var_eager`, H200, .*\)\.\n<!-- .* -->\nAfter\.\n", text)
    before = (checkout / "README.md").stat().st_mtime_ns
    assert main(["--reports", str(checkout / "reports")]) == 0
    assert (checkout / "README.md").stat().st_mtime_ns == before


def test_a_path_that_a_record_lacks_leaves_the_readme(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "reports" / "readme.yaml").write_text(entry("eager/verdicts"))
    before = (checkout / "README.md").read_bytes()
    assert main(["--reports", str(checkout / "reports")]) == 1
    assert capsys.readouterr().err == (
        "README.md is left as it was: in line 2, results rounds, "
        f"record {EAGER.stem} has no verdicts: no verdicts; did you mean verdict?\n"
    )
    assert (checkout / "README.md").read_bytes() == before


def test_without_texts_beside_the_records_no_readme_is_touched(checkout: Path) -> None:
    before = (checkout / "README.md").read_bytes()
    assert main(["--reports", str(checkout / "reports")]) == 0
    assert (checkout / "README.md").read_bytes() == before
