"""NVIDIA's cards by NVIDIA's own Python module, on a library that is compiled for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Ask = Callable[[str, int], str]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and cc"
)

#: What NVML calls the ends that beginning may come to.
WORKS, DRIVER_NOT_LOADED, VERSION_MISMATCH = 0, 9, 18


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Return what asks another process, which has the library, for an expression of ``nvidia``."""
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).with_name("nvml.c")
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    begin = (
        "from swapd.telemetry.host.nvidia import *\n"
        "nvidia = Nvidia()\n"
        "try: print(eval(sys.argv[1]))\n"
        "except SourceFailed as error: print('failed:', error)\n"
    )

    def asked(expression: str, begun: int) -> str:
        environment = {**os.environ, "LD_LIBRARY_PATH": str(folder), "NVML": str(begun)}
        command = [sys.executable, "-c", f"import sys\n{begin}", expression]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return asked


def test_what_a_card_and_an_old_driver_do_not_tell_is_unknown(ask: Ask) -> None:
    figures = "g.id, g.uuid, g.celsius, g.busy_percent, g.fan_percent, g.watts"
    said = ask(f"[({figures}) for g in nvidia.read()]", WORKS)
    assert said == str([(0, "GPU-0", 41, None, None, 123.456), (2, "GPU-2", 41, 97, 30, 123.456)])


def test_memory_is_that_of_the_card_or_of_the_slices_that_may_be_seen(ask: Ask) -> None:
    said = ask(
        "[(g.memory_used_bytes >> 30, g.memory_total_bytes >> 30) for g in nvidia.read()]", WORKS
    )
    assert said == str([(6, 20), (3, 12)])


def test_cards_are_described_without_the_one_that_is_lost(ask: Ask) -> None:
    said = ask(
        "[(d.identity, d.card.architecture, d.card.model) for d in nvidia.describe()]", WORKS
    )
    assert said == str(
        [
            ("0000:01:00.0", "Hopper", "NVIDIA H100 80GB HBM3"),
            ("0000:03:00.0", "Ampere", "NVIDIA GeForce RTX 3060"),
        ]
    )


def test_a_library_without_its_driver_is_no_failure_and_another_version_of_it_is(ask: Ask) -> None:
    assert ask("nvidia.read()", DRIVER_NOT_LOADED) == "[]"
    assert "version mismatch" in ask("nvidia.read()", VERSION_MISMATCH)
