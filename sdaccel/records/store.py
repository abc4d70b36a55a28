"""Records on disk: content that is compared and resumed, timing that is measured anew, provenance that says where it is from.

    {"id", "content_hash", "timing_hash", "provenance_hash", "record_hash",
     "content": {...}, "timing": {...} | null, "provenance": {...}, "samples": {arm: folder}}

`id` is the study's name, a hash of its configuration and the beginning of the content hash: one study run on two kinds of
machine makes two records. Ids, resumption and equality use `content_hash` alone. What belongs to single samples lies beside the
record, compressed, as {arm: {"samples": [...], "values": {metric: [...]}}}; the hash of its text stands in the content.

A hash tells an edit that left it as it was. An edit whose author hashed anew shows where it contradicts other entries or a
sample made anew (`verify-record`), and one of timing only where it contradicts its own rounds: clocks say something else
every time.
"""

import gzip
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdaccel.errors import BadInput, reason
from sdaccel.samples import atomic_write, canonical, digest
from sdaccel.user_files import LARGEST

FORMAT = 3
"""Of the content. Records of the first have no such entry, hold samples and values in their arms, and only `content_hash`."""
PARTS = ("content", "timing", "provenance")


class Changed(BadInput):
    """A record, or what lies beside it, that is not as it was written."""


def hashes(record: Mapping[str, Any]) -> dict[str, str]:
    """Of every part, and of all of them with the id and the names of folders."""
    found = {f"{part}_hash": digest(canonical(record[part])) for part in PARTS}
    return found | {"record_hash": digest(canonical([record["id"], *found.values(), record.get("samples")]))}


def sealed(
    name: str,
    content: Mapping[str, Any],
    *,
    digits: int,
    timing: Mapping[str, Any] | None,
    provenance: Mapping[str, Any],
    folders: Mapping[str, str],
) -> dict[str, Any]:
    """A record under this name and so many digits of its content's hash."""
    body = {"format": FORMAT, **content}
    parts = {"content": body, "timing": timing, "provenance": provenance, "samples": folders}
    own = {"id": f"{name}-{digest(canonical(body))[:digits]}"}
    return own | hashes(own | parts) | parts


def sidecar(path: Path) -> Path:
    return path.with_suffix(".samples.json.gz")


def save(record: Mapping[str, Any], path: Path, *, each: Mapping[str, Any] | None = None) -> None:
    """The record, and before it what belongs to its samples: where there is a record, it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if each is not None:
        atomic_write(sidecar(path), gzip.compress(canonical(each), mtime=0))
    atomic_write(path, (laid_out(record) + "\n").encode())


def laid_out(value: Any, depth: int = 0) -> str:
    """JSON for people and for git: a key or list entry per line, numbers in a row."""
    pad = "\n" + " " * (depth + 1)
    if isinstance(value, dict) and value:
        entries = [f"{_compact(key)}: {laid_out(entry, depth + 1)}" for key, entry in value.items()]
        return "{" + ",".join(pad + entry for entry in entries) + pad[:-1] + "}"
    if isinstance(value, list) and any(isinstance(entry, dict | list | str) for entry in value):
        return "[" + ",".join(pad + _compact(entry) for entry in value) + pad[:-1] + "]"
    return _compact(value)


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def load(path: Path) -> dict[str, Any]:
    """A record whose parts still have the hashes it was written with."""
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        record: dict[str, Any] = json.loads(path.read_bytes())
        found = hashes(record)
        needed = found if record["content"].get("format") else ["content_hash"]
        said = {name: record[name] for name in found if name in record or name in needed}
    except FileNotFoundError:
        raise BadInput(f"record {path} does not exist; run the study first, or give another id.") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"record {path} is not a record ({reason(error)}); run its study again.") from None
    for name, value in said.items():
        if value != found[name]:
            raise Changed(
                f"record {path} was changed after it was written ({name} is {found[name][:12]}); run its study again."
            )
    return record


def load_each(path: Path, wanted: str) -> dict[str, Any]:
    """What belongs to the samples of the record at this path; `wanted` is the hash in its content."""
    beside = sidecar(path)
    try:
        text = gzip.decompress(beside.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{beside} is missing: it holds the samples of {path.name}; promote or run the study again.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{beside} is damaged ({error}); promote or run the study again.") from None
    if digest(text) != wanted:
        raise Changed(
            f"{beside} was changed after it was written (its text has hash {digest(text)[:12]}); run the study again."
        )
    found: dict[str, Any] = json.loads(text)
    return found
