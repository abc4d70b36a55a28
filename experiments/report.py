"""Make figures, tables and index.html of the committed records anew: `python experiments/report.py`."""

import argparse
import sys
from pathlib import Path

from sdaccel.errors import BadInput
from sdaccel.reporting.build import build

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=Path, default=ROOT / "reports", help="the folder that holds results/")
    args = parser.parse_args()
    try:
        written = build(args.reports)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(written)} files written; open {written[-1]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
