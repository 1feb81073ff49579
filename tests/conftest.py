"""How hypothesis searches: anew at every run, but the same examples each time where CI is set."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A slow machine is no failure, and the blob that is printed repeats a failing example anywhere.
_COMMON = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("local", **_COMMON)
settings.register_profile("ci", derandomize=True, database=None, **_COMMON)
settings.load_profile("ci" if os.environ.get("CI", "").lower() == "true" else "local")
