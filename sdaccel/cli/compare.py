"""One page of several runs, `sdaccel compare RUN...`, or of folders of pictures that were made elsewhere:

sdaccel compare --dirs base=A ours=B --prompts FILE metrics=files metrics.clip=PATH
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from hydra.utils import instantiate
from rich.console import Console

from sdaccel.cli import CONF, WIDE, Parser, told
from sdaccel.configuring import composed
from sdaccel.errors import BadInput
from sdaccel.records import read
from sdaccel.records.promote import find
from sdaccel.reporting.page import of_record, of_runs
from sdaccel.studies import compose, folders, runner

OPTIONS = ("metrics", "trainer")
"""Groups of the configuration that folders are scored by."""


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog="sdaccel compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", help="a run's folder or record.json, or its id (its beginning is enough)")
    parser.add_argument("--dirs", nargs="+", help="NAME=FOLDER of pictures, paired by file name; the first is the baseline")
    parser.add_argument("--prompts", type=Path, help="a prompt per line, in the order of file names")
    parser.add_argument("--labels", type=Path, help="the same with class labels")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="where runs are looked for and pages are written")
    return told(lambda: _compare(parser.parse_args(argv), argv))


def _compare(args: argparse.Namespace, argv: Sequence[str]) -> int:
    compose.check_output(args.output)
    if args.dirs:
        return of_folders(args, argv)
    if args.prompts or args.labels:
        raise BadInput("--prompts and --labels belong to folders of pictures; give --dirs NAME=FOLDER NAME=FOLDER, too.")
    return of(args.runs, args.output)


def of(runs: Sequence[str], output: Path) -> int:
    paths = [_record(run, output) for run in runs]
    if len(set(paths)) < max(2, len(paths)):
        raise BadInput(f"{' '.join(runs) or 'nothing'} names {len(set(paths))} different runs; name two or more, each once.")
    print(f"page {of_runs.write({path.parent: read.load(path) for path in paths}, output)}")
    return 0


def of_folders(args: argparse.Namespace, argv: Sequence[str]) -> int:
    """Options of the configuration may stand anywhere behind --dirs."""
    words = [*args.dirs, *args.runs]
    overrides = [word for word in words if word.partition("=")[0].split(".")[0] in OPTIONS]
    found = folders.folders([word for word in words if word not in overrides])
    compose.register()
    chosen = any(word.startswith("metrics=") for word in overrides)
    cfg = composed("config", [*overrides, *([] if chosen else ["metrics=files"])], conf=CONF)
    asked = folders.Asked(
        folders=found,
        conditions=folders.conditions_of(found[0], prompts=args.prompts, labels=args.labels),
        suite=instantiate(cfg.metrics, _convert_="all"),
        output=args.output,
        device=runner.device_of(cfg),
        threads=cfg.trainer.threads,
        command=argv,
    )
    path = folders.scored(asked, console=Console(highlight=False, markup=False, soft_wrap=True, width=WIDE))
    files = {folder.name: folder.files for folder in found}
    page = of_record.write(read.load(path), path.parent, find=lambda arm, sample: files[arm][sample.index])
    print(f"record {path}\npage {page}")
    return 0


def _record(run: str, output: Path) -> Path:
    beside = Path(run) / "record.json"
    return beside if len(run) < 4096 and beside.is_file() else find(run, [output])
