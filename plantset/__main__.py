"""`python -m plantset` is the command `plantset`."""

import sys

from plantset.cli import main

if __name__ == "__main__":
    sys.exit(main())
