"""Laws of progress: every phase of a run says how far it is and how long it will take."""

import io
import re
from pathlib import Path

from rich.console import Console

from sdaccel.cli import outcome
from sdaccel.predict.progress import Phase
from sdaccel.studies import runner
from tests.studies.frame import plan


def test_every_phase_counts_to_its_end(tmp_path: Path) -> None:
    said = io.StringIO()
    console = Console(file=said, width=200)
    study = plan("strategy=hicache", "data.limit=2", "study.timing.repeats=1", "metrics=pairs", output=tmp_path)
    record = runner.run(study, console=console)
    folder = runner.run_folder(study)
    assert record and outcome.finish(record, study, folder, console)
    assert folder.name.startswith("flux-hicache-") and (folder / "index.html").is_file()
    assert f"page {folder / 'index.html'}" in said.getvalue()
    lines = re.findall(r"^(\w+) (\d+)/(\d+) (\w+) · \S+ \w+/s · 0 s left · \S+", said.getvalue(), re.MULTILINE)
    assert [line[0] for line in lines] == ["generating", "measuring", "timing", "writing", "drawing"]
    assert all(done == total for _, done, total, _ in lines)
    assert {name: int(total) for name, _, total, _ in lines}.items() >= {"generating": 4, "timing": 4, "writing": 2}.items()


def test_a_bar_on_a_terminal_tells_the_time_left() -> None:
    said = io.StringIO()
    with Phase(Console(file=said, width=100, force_terminal=True), "timing", total=2, unit="batches") as phase:
        phase.advance("baseline")
        phase.advance("run")
    assert "timing run" in said.getvalue() and "0 s left" in said.getvalue() and "2/2" in said.getvalue()
