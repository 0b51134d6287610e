"""``python -P -m lab.embedded``: the process of a lab."""

from __future__ import annotations

import sys

from lab.embedded.main import main

sys.exit(main())
