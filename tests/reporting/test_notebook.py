"""The tour runs from the repository root and from its own folder, and is committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import ROOT

TOUR = ROOT / "notebooks" / "tour.ipynb"


@pytest.mark.parametrize("folder", [".", "notebooks"])
def test_the_tour_runs_and_shows_the_verdict_and_the_figures(reports: Path, folder: str) -> None:
    notebook = nbformat.read(TOUR, as_version=4)
    cwd = reports.parent / folder
    cwd.mkdir(exist_ok=True)
    NotebookClient(notebook, kernel_name="python3", timeout=60, resources={"metadata": {"path": str(cwd)}}).execute()
    data = [output.data for cell in notebook.cells for output in cell.get("outputs", []) if "data" in output]
    assert any("caught" in output.get("text/html", "") for output in data)
    assert sum("image/png" in output for output in data) == 2


def test_the_tour_is_committed_without_outputs() -> None:
    cells = [cell for cell in nbformat.read(TOUR, as_version=4).cells if cell.cell_type == "code"]
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)
