"""Make figures, tables and index.html of the committed records anew: `python experiments/report.py`."""

import sys

from sdaccel.cli.report import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
