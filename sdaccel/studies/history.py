"""The commits whose code gives the fingerprints of a record, among all that the checkout of this package has kept.

The first rule stands in a commit's own provenance.py: the parts of the package that count (DECIDING) and the libraries whose
versions do. Since then it is the closure of ROOTS and of an arm's modules. Of libraries a record tells some versions; the
others are taken to be those that are installed here.
"""

import ast
import hashlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any

from sdaccel.closure import distributions, fingerprint_of, named_in
from sdaccel.records.findings import Findings
from sdaccel.records.view import Record

FIRST, SECOND = "sdaccel/studies/provenance.py", "sdaccel/studies/fingerprint.py"
"""Where a commit has its rule."""
Files = Mapping[str, str]
"""Path -> blob, of the package's sources."""


@dataclass(frozen=True)
class Commit:
    name: str
    date: str


class Repository:
    """What git has kept of the package; raises OSError and CalledProcessError where there is no git."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.texts: dict[str, bytes] = {}

    def commits(self) -> list[Commit]:
        """Of all branches, the newest first."""
        lines = self._git("log", "--all", "--format=%H %cs").decode().splitlines()
        return [Commit(*line.split()) for line in lines]

    def sources(self, commits: Sequence[Commit]) -> dict[Commit, Files]:
        """Their files, with all texts in one go."""
        found = {commit: self._files(commit.name) for commit in commits}
        blobs = list(dict.fromkeys(blob for files in found.values() for blob in files.values()))
        packed, at = self._git("cat-file", "--batch", text="\n".join(blobs).encode()), 0
        for blob in blobs:
            start = packed.index(b"\n", at) + 1
            size = int(packed[at:start].split()[2])
            self.texts[blob], at = packed[start : start + size], start + size + 1
        return found

    def _files(self, commit: str) -> Files:
        entries = [line.split(None, 3) for line in self._git("ls-tree", "-r", commit, "sdaccel").decode().splitlines()]
        return {path: blob for _, _, blob, path in entries if path.endswith(".py")}

    def _git(self, *arguments: str, text: bytes | None = None) -> bytes:
        return subprocess.run(["git", *arguments], cwd=self.root, input=text, capture_output=True, check=True).stdout


class History:
    """Fingerprints of commits, as a run in each would have made them with these versions of libraries."""

    def __init__(self, repository: Repository, versions: Mapping[str, str]) -> None:
        self.texts, self.versions = repository.texts, versions
        self.imports, self.hashes, self.version = cache(self._imports), cache(self._hash), cache(self._version)

    def gives(self, record: Record, files: Files, modules: Mapping[str, Sequence[str]]) -> bool:
        """The commit's code has the fingerprint, or those of all arms."""
        code = record.provenance.code
        if isinstance(code, str):
            return self.whole(files) == code
        needed = {(tuple(modules[name]), said) for name, said in code.items() if name in modules}
        return bool(needed) and all(self.of_modules(files, some) == said for some, said in needed)

    def whole(self, files: Files) -> str | None:
        """By the first rule, one for all arms; None where the commit has another."""
        rule = self._rule(files, FIRST)
        if "DECIDING" not in rule:
            return None
        roots = [f"sdaccel/{part}" for part in rule["DECIDING"]]
        deciding = [path for path in files if any(path == root or path.startswith(f"{root}/") for root in roots)]
        texts = sorted((PurePosixPath(path).name, self.texts[files[path]]) for path in deciding)
        texts += [(name, str(self.versions.get(name)).encode()) for name in rule["LIBRARIES"]]
        return hashlib.sha256(b"".join(name.encode() + b"\0" + text + b"\0" for name, text in texts)).hexdigest()[:16]

    def of_modules(self, files: Files, modules: Sequence[str]) -> str | None:
        """By the closure; `modules` are those of an arm."""
        rule = self._rule(files, FIRST) | self._rule(files, SECOND)
        if "ROOTS" not in rule:
            return None
        paths = {_module(path): path for path in files}
        waiting = [found for name in [*rule["ROOTS"], *modules] for found in _whole(name, paths)]
        seen, libraries = dict[str, str](), set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            if name.partition(".")[0] != "sdaccel":
                libraries.add(name.partition(".")[0])
            elif name in paths:
                seen[name] = self.hashes(files[paths[name]])
                parent = name.rpartition(".")[0]
                waiting += [*self.imports(files[paths[name]], _package(name, paths)), *([parent] if parent else [])]
        return fingerprint_of(seen, {name: self.version(name) for name in libraries - sys.stdlib_module_names})

    def _imports(self, blob: str, package: str) -> tuple[str, ...]:
        return named_in(self.texts[blob], package)

    def _hash(self, blob: str) -> str:
        return hashlib.sha256(self.texts[blob]).hexdigest()

    def _rule(self, files: Files, path: str) -> dict[str, Any]:
        """The module's tuples of names."""
        tree = ast.parse(self.texts[files[path]] if path in files else b"")
        assigned = [node for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple)]
        return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in assigned}

    def _version(self, library: str) -> str:
        """As `closure.version_of` would have it there."""
        found = set(distributions().get(library, []))
        return " ".join(sorted(self.versions.get(name) or version(name) for name in found))


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _package(name: str, paths: Mapping[str, str]) -> str:
    return name if paths[name].endswith("/__init__.py") else name.rpartition(".")[0]


def _whole(name: str, paths: Mapping[str, str]) -> list[str]:
    """A package stands for all of its modules."""
    return [name, *(other for other in paths if other.startswith(f"{name}."))]


def found(record: Record, modules: Mapping[str, Sequence[str]], root: Path) -> Findings:
    """`modules` are those of every arm, by the names of the record; the first rule needs none."""
    if not record.provenance.code:
        return Findings("code", notes=["the record has no fingerprint of it, as that of a benchmark"])
    try:
        if not (root / ".git").exists():  # an installed package may lie inside a repository that is about something else
            raise FileNotFoundError
        repository = Repository(root)
        commits = repository.commits()
        own = [commit for commit in commits if record.provenance.git and commit.name.startswith(record.provenance.git.commit)]
        same = _giving(record, repository, own, modules)
        return _told(record, commits, same or _giving(record, repository, commits, modules))
    except (OSError, subprocess.CalledProcessError):
        return Findings("code", unseen=["commit: there is no git history here in which to look for the fingerprint"])


def _giving(
    record: Record, repository: Repository, commits: Sequence[Commit], modules: Mapping[str, Sequence[str]]
) -> list[Commit]:
    sources, history = repository.sources(commits), History(repository, record.provenance.libraries)
    return [commit for commit, files in sources.items() if history.gives(record, files, modules)]


def _told(record: Record, commits: Sequence[Commit], same: Sequence[Commit]) -> Findings:
    """What it says of its commit beside those that have its code."""
    git = record.provenance.git
    named = f"{git.commit[:7]}{' and changes of it' if git.dirty else ''}{', as told' if git.told else ''}" if git else "none"
    if not same:
        why = "changes were not committed, or libraries are others here"
        return Findings(
            "code", unseen=[f"commit: none of {len(commits)} has its fingerprint ({why}); the record names {named}"]
        )
    last, first = same[0], same[-1]
    span = f"commit {last.name[:7]}" if last is first else f"{len(same)} commits, {first.name[:7]} to {last.name[:7]}"
    which = f"code of {span} ({last.date})"
    if git and not git.dirty and not any(commit.name.startswith(git.commit) for commit in same):
        return Findings(which, [f"the record names {named}, which has other code"])
    return Findings(f"{which}; the record names {named}")
