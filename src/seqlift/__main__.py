"""`python -m seqlift` is the command `seqlift`."""

import sys

from seqlift.cli import main

sys.exit(main())
