"""Wire models of TM Forum's version 4 APIs 620, 622, 633, 634, 637, 638, 639, 641 and 652, one module each."""

from __future__ import annotations
