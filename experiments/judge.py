"""Judge records again by the checks that their study has today: `python experiments/judge.py RECORD...` (path or id)."""

import sys

from sdaccel.cli.judge import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
