"""What holds for all tests: none fails for the speed of the machine that it runs on."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("at leisure", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("at leisure")
