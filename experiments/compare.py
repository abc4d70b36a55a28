"""One page of several runs, `python experiments/compare.py RUN...`, or of folders of pictures made elsewhere,
`python experiments/compare.py --dirs base=A ours=B --prompts FILE`. Exit 0: written, 2: bad input."""

import sys

from sdaccel.cli.compare import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
