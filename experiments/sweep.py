"""Run a W&B sweep file on this machine: `python experiments/sweep.py conf/sweep/hicache.yaml --agents 2`.

Exit 0: every point has a result and the best one is shown, 1: one has none, 2: bad input, nothing was run.
"""

import sys

from sdaccel.cli.sweep import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
