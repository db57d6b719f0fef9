"""What holds for all tests: none fails for the speed of its machine, or by chance."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "explore", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
#: What is tried is the same each time, so that a failure is that of the last change.
settings.register_profile("the same", settings.get_profile("explore"), derandomize=True)
settings.load_profile("the same")
