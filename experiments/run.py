"""Run a study: `python experiments/run.py +exp=interval1_equivalence`.

Exit 0: no check fails (the last line says PASS, or OPEN where samples do not tell), 1: one fails, 2: bad input.
"""

import sys

from sdaccel.cli.launch import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
