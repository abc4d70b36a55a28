"""Train a small model of the zoo: `python experiments/zoo.py model=judge_mini`. Start it again after a kill: it resumes."""

import sys

from sdaccel.cli.zoo import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
