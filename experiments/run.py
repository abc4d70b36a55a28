"""Run a study: `python experiments/run.py +exp=interval1_equivalence`. Exit 0: checks hold, 1: one fails, 2: bad input."""

import sys

from sdaccel.cli.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
