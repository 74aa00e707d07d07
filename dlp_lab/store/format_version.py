"""What files with volumes say of their layout. Imports nothing heavy, for the JSON beside them says it too."""

from __future__ import annotations

from typing import Literal

FORMAT_VERSION = 2
Normalization = Literal["none", "minmax"]
