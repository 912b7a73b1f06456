"""What the tests see nothing of: the settings and credentials of whoever runs them."""

from __future__ import annotations

import os

for name in [each for each in os.environ if each.startswith(("AWS_", "SLIPWAY_"))]:
    del os.environ[name]
