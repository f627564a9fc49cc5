"""How long a test waits for what has to happen."""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 60.0
"""Seconds until a test fails that waits in vain. Most wait for milliseconds; a machine that others
use too may stand still for long.
"""

AT_ONCE: Final = 10.0
"""Seconds that nothing takes which does not wait; what must not be waited for takes longer."""
