"""Arms beside a floor: `python experiments/bench.py +bench=var_engine` or `+bench=kernels`. Exit 0: measured, 2: bad input."""

import sys

from sdaccel.cli.bench import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
