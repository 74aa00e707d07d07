"""`python -m dlp_lab` is `dlp-lab`."""

import sys

from dlp_lab.cli import main

sys.exit(main())
