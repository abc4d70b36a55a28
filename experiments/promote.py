"""Copy finished records to reports/, to be committed: `python experiments/promote.py RECORD...` (path or id)."""

import sys

from sdaccel.cli.promote import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
