"""`python -m sparsefocus` is the command `sparsefocus`."""

import sys

from sparsefocus.command import main

sys.exit(main())
