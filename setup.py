"""A wheel holds conf/, which stays at the top of the repository, as sdaccel/conf; everything else is in pyproject.toml."""

from pathlib import Path
from shutil import copytree, rmtree

from setuptools import setup
from setuptools.command.build_py import build_py


class WithConfigurations(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # the checkout has its own
            target = Path(self.build_lib, "sdaccel", "conf")
            rmtree(target, ignore_errors=True)  # of an earlier build, perhaps with files that are gone
            copytree("conf", target)


setup(cmdclass={"build_py": WithConfigurations})
