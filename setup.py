"""A wheel holds conf/, which stays at the top of the repository, as sdaccel/conf; everything else is in pyproject.toml."""

from pathlib import Path
from shutil import copytree

from setuptools import setup
from setuptools.command.build_py import build_py


class WithConfigurations(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:  # the checkout has its own
            copytree("conf", Path(self.build_lib, "sdaccel", "conf"), dirs_exist_ok=True)


setup(cmdclass={"build_py": WithConfigurations})
