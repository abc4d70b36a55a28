"""Copy finished records to reports/, to be committed: `python experiments/promote.py RECORD...` (path or id)."""

import argparse
import sys
from pathlib import Path

from sdaccel.errors import BadInput
from sdaccel.studies.promote import find, promote

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("records", nargs="+", help="path of a record.json, or the id of a run (its beginning is enough)")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="the `output` of the run")
    parser.add_argument("--reports", type=Path, default=ROOT / "reports")
    args = parser.parse_args()
    try:
        for name in args.records:
            print(promote(find(name, [args.runs, args.runs / "bench"]), samples=args.runs / "samples", reports=args.reports))
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
