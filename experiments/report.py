"""Make figures, tables, index.html and the README's results of the committed records anew: `python experiments/report.py`."""

import sys

from sdaccel.cli.report import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
