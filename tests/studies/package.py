"""Packages of other people, in a folder of a test: files, entry points, and the command line with them on the path."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import fresh
from tests.conftest import ROOT


@dataclass(frozen=True)
class Package:
    root: Path
    name: str

    @classmethod
    def written(cls, root: Path, name: str, files: Mapping[str, str], *, entry_points: str) -> "Package":
        about = {
            f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{name}-1.0.dist-info/entry_points.txt": entry_points,
        }
        for path, text in {f"{name}/__init__.py": "", f"{name}/conf/__init__.py": "", **files, **about}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        return cls(root, name)

    def python(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        return fresh.python(*argv, cwd=self.root, PYTHONPATH=f"{self.root}{os.pathsep}{ROOT}")

    def run(self, *overrides: str) -> "subprocess.CompletedProcess[str]":
        """A study, in the package's folder `runs`."""
        search = f"hydra.searchpath=[pkg://{self.name}.conf]"
        return self.python(str(ROOT / "experiments" / "run.py"), search, f"output={self.root}/runs", *overrides)
