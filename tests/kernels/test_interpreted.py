"""Every kernel in Triton's interpreter, all files in one process: starting one takes as long as the tests of a small file."""

from pathlib import Path

from tests.kernels.interpreter import laws_hold, outside

FILES = sorted(file for file in Path(__file__).parent.glob("test_*.py") if "\n@runnable\n" in file.read_text())


@outside
def test_the_kernels_hold_their_laws_in_the_interpreter() -> None:
    assert len(FILES) == 4
    laws_hold(FILES)
