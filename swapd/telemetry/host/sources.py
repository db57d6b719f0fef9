"""All that know one kind of GPU."""

from __future__ import annotations

from swapd.telemetry.host.apple import Apple
from swapd.telemetry.host.cards import Source
from swapd.telemetry.host.drm import Amd, Drm
from swapd.telemetry.host.nvidia import Nvidia
from swapd.telemetry.host.rocm import Rocm


def all_sources() -> list[Source]:
    """Return one of each kind; who knows more of a card comes first."""
    return [Nvidia(), Amd(), Rocm(), Drm(), Apple()]
