"""What this machine is."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import trio
import trio.testing

from swapd.telemetry.host import machine
from swapd.telemetry.host.cards import Accelerator, Described, SourceFailed
from swapd.telemetry.host.figures import Gpu
from swapd.telemetry.host.hardware import Detector
from swapd.telemetry.host.machine import Environment, Facts, environment, facts, memory_bytes

PAGE = 4096

ZONES = """Node 0, zone      DMA
        spanned  4095
        present  1000
Node 0, zone   Normal
        present  5000
Node 0, zone   Device
        present  900000
"""


class Cards:
    """Cards that are described, or fail to be."""

    name = "cards"

    def __init__(self, *answers: list[Described] | Exception) -> None:
        self.answers = list(answers)

    def read(self) -> list[Gpu]:
        return []

    def describe(self) -> list[Described]:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_what_is_found_is_remembered() -> None:
    detector = Detector([Cards([Described("0", Accelerator("AMD"))])])
    found = await detector.detect()
    assert found is not None
    assert found.accelerators == (Accelerator("AMD"),)
    assert await detector.detect() is found


async def test_what_fails_is_missing_and_asked_again() -> None:
    detector = Detector([Cards(SourceFailed("busy"), [Described("0", Accelerator("AMD"))])])
    first, second = await detector.detect(), await detector.detect()
    assert first is not None
    assert second is not None
    assert (first.accelerators, second.accelerators) == ((), (Accelerator("AMD"),))


async def test_without_its_memory_a_machine_is_not_known() -> None:
    def fails() -> Facts:
        raise OSError("no /proc")

    assert await Detector([], fails).detect() is None


async def test_several_who_ask_at_once_are_told_of_one_search() -> None:
    searches, go = list[int](), threading.Event()

    def find() -> Facts:
        searches.append(1)
        go.wait(5)
        return facts()

    detector = Detector([], find)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(detector.detect)
        await trio.testing.wait_all_tasks_blocked()
        go.set()
    assert len(searches) == 1


def test_this_machine_is_known() -> None:
    found = facts()
    assert found.family in {"linux", "macos"}
    assert found.memory_bytes > 0
    assert (found.threads or 0) >= (found.cores or 0) > 0
    assert found.architecture == machine._ARCHITECTURES[found.raw_architecture.lower()]


def write(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)


def test_memory_is_all_that_is_built_in_but_that_of_devices(tmp_path: Path) -> None:
    write(tmp_path, "proc/zoneinfo", ZONES)
    assert memory_bytes(tmp_path, 5500 * PAGE, PAGE) == 6000 * PAGE
    assert memory_bytes(tmp_path, 7000 * PAGE, PAGE) == 7000 * PAGE


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_no_more_than_a_container_may_have(tmp_path: Path, file: str) -> None:
    write(tmp_path, "proc/zoneinfo", ZONES)
    write(tmp_path, f"sys/fs/cgroup/{file}", f"{100 * PAGE}\n")
    assert memory_bytes(tmp_path, 5500 * PAGE, PAGE) == 100 * PAGE


def test_a_container_without_a_limit_may_have_all(tmp_path: Path) -> None:
    write(tmp_path, "sys/fs/cgroup/memory.max", "max\n")
    assert memory_bytes(tmp_path, 5500 * PAGE, PAGE) == 5500 * PAGE


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"kvm\n", Environment("virtual_machine", "KVM")),
        (b"docker\n", Environment("container", "Docker")),
        (b"systemd-nspawn\n", Environment("container", "systemd-nspawn")),
        (b"none\n", Environment("native")),
        (OSError("systemd-detect-virt exited with code 1: "), Environment("native")),
        (FileNotFoundError("no such file"), Environment("unknown")),
    ],
)
def test_what_the_system_runs_in_is_told_by_systemd(
    tmp_path: Path, said: bytes | Exception, found: Environment
) -> None:
    def ask(*_: str) -> bytes:
        if isinstance(said, Exception):
            raise said
        return said

    assert environment(tmp_path, "6.12.0", ask) == found


def test_containers_and_wsl_are_known_by_their_marks(tmp_path: Path) -> None:
    def nobody(*_: str) -> bytes:
        raise AssertionError("nobody need be asked")

    assert environment(tmp_path, "5.15.0-microsoft-standard-WSL2", nobody).kind == "wsl"
    write(tmp_path, "run/.containerenv", "")
    assert environment(tmp_path, "6.12.0", nobody) == Environment("container", "Podman")
    write(tmp_path, ".dockerenv", "")
    assert environment(tmp_path, "6.12.0", nobody) == Environment("container", "Docker")


def test_a_system_is_known_by_its_own_words(tmp_path: Path) -> None:
    write(tmp_path, "etc/os-release", 'ID=debian\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\n')
    cpu = "processor : 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD Ryzen\nphysical id\t: 0\n"
    write(tmp_path, "proc/cpuinfo", cpu + "\n" + cpu.replace("id\t: 0", "id\t: 1"))
    found = facts(tmp_path, lambda *_: b"none")
    assert (found.system_name, found.system_version) == ("Debian GNU/Linux", "12")
    assert (found.cpu_vendor, found.cpu_model, found.sockets) == ("AuthenticAMD", "AMD Ryzen", 2)


def test_what_nobody_says_is_unknown(tmp_path: Path) -> None:
    found = facts(tmp_path, lambda *_: b"none")
    assert (found.system_name, found.system_version) == (None, None)
    assert (found.cpu_vendor, found.cpu_model, found.sockets) == (None, None, None)
