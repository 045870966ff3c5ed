"""Run the command line: `python -m nanoparadigm` is `nanoparadigm`."""

import sys

from .commands.main import main

sys.exit(main())
