"""What this machine is but for its GPUs: processor, memory, system, and what that runs in."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swapd.telemetry.host import programs

ROOT = Path("/")

_ARCHITECTURES = {
    "x86_64": "x86_64",
    "amd64": "x86_64",
    "arm64": "arm64",
    "aarch64": "arm64",
    "armv7l": "armv7",
    "ppc64le": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}

_FAMILIES = {"linux": "linux", "darwin": "macos", "win32": "windows"}

#: What systemd-detect-virt says of containers, and how people call what it says.
_CONTAINERS = frozenset({"docker", "lxc", "lxc-libvirt", "rkt", "podman", "systemd-nspawn"})
_CALLED = {
    "docker": "Docker",
    "lxc": "LXC",
    "podman": "Podman",
    "kvm": "KVM",
    "qemu": "QEMU",
    "vmware": "VMware",
    "oracle": "VirtualBox",
    "microsoft": "Hyper-V",
    "xen": "Xen",
}


@dataclass(frozen=True, slots=True)
class Environment:
    """What the system runs in; ``kind`` is ``native``, ``container``, … or ``unknown``."""

    kind: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What this machine is."""

    architecture: str
    raw_architecture: str
    family: str
    raw_family: str
    system_name: str | None
    system_version: str | None
    kernel: str | None
    environment: Environment
    cpu_vendor: str | None
    cpu_model: str | None
    sockets: int | None
    cores: int | None
    threads: int | None
    memory_bytes: int


def facts(root: Path = ROOT, ask: Callable[..., bytes] = programs.output_of) -> Facts:
    """Find out; may take seconds.

    Args:
      root: Where the files of the system are.
      ask: Runs a program and returns what it says.
    """
    import psutil  # here, for it takes a moment

    machine, kernel = platform.machine(), platform.release()
    name, version = _system(root)
    vendor, model, sockets = _processor(root, ask)
    return Facts(
        _ARCHITECTURES.get(machine.lower(), "other"),
        machine,
        next((family for key, family in _FAMILIES.items() if sys.platform == key), _bsd()),
        sys.platform,
        name,
        version,
        kernel or None,
        environment(root, kernel, ask),
        vendor,
        model,
        sockets,
        psutil.cpu_count(logical=False),
        psutil.cpu_count(),
        memory_bytes(root, psutil.virtual_memory().total, os.sysconf("SC_PAGE_SIZE")),
    )


def _bsd() -> str:
    return "freebsd" if sys.platform.startswith("freebsd") else "other"


def _system(root: Path) -> tuple[str | None, str | None]:
    if sys.platform == "darwin":
        return "macOS", platform.mac_ver()[0] or None
    for file in ("etc/os-release", "usr/lib/os-release"):
        if text := _text(root / file):
            says = dict(re.findall(r'^(\w+)="?(.*?)"?$', text, re.MULTILINE))
            return says.get("NAME"), says.get("VERSION_ID")
    return None, None


def _processor(root: Path, ask: Callable[..., bytes]) -> tuple[str | None, str | None, int | None]:
    """Return vendor, model, and how many there are."""
    if sys.platform == "darwin":
        keys = ("machdep.cpu.vendor", "machdep.cpu.brand_string", "hw.packages")
        vendor, model, sockets = (_sysctl(key, ask) for key in keys)
        if not vendor and model.startswith("Apple"):
            vendor = "Apple"
        return vendor or None, model or None, int(sockets) if sockets.isdigit() else None
    text = _text(root / "proc/cpuinfo") or ""
    says = dict(re.findall(r"^([\w ]+?)\s*: (.+)$", text, re.MULTILINE))
    sockets_seen = set(re.findall(r"^physical id\s*: (\d+)$", text, re.MULTILINE))
    return says.get("vendor_id"), says.get("model name"), len(sockets_seen) or None


def _sysctl(key: str, ask: Callable[..., bytes]) -> str:
    with suppress(OSError):  # not every processor has every key
        return ask("sysctl", "-n", key).decode(errors="replace").strip()
    return ""


def memory_bytes(root: Path, total: int, page_bytes: int) -> int:
    """Return how much memory there is: what is built in, or what this container may have.

    Args:
      root: Where the files of the system are.
      total: What the kernel has left over from what is built in.
      page_bytes: The size of a page.
    """
    pages, zone = 0, ""
    for line in (_text(root / "proc/zoneinfo") or "").splitlines():
        if line.startswith("Node"):
            zone = line.split("zone")[-1].strip()
        elif zone != "Device" and (match := re.match(r"\s+present\s+(\d+)$", line)):
            pages += int(match[1])
    return min(max(total, pages * page_bytes), *_limits(root), sys.maxsize)


def _limits(root: Path) -> Iterator[int]:
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        with suppress(ValueError):  # "max", or no such file
            yield int(_text(root / "sys/fs/cgroup" / file) or "")


def environment(root: Path, kernel: str, ask: Callable[..., bytes]) -> Environment:
    """Tell what the system runs in, as far as it lets itself be known."""
    if re.search("microsoft|wsl", kernel, re.IGNORECASE):
        return Environment("wsl", "WSL")
    if (root / ".dockerenv").exists():
        return Environment("container", "Docker")
    if (root / "run/.containerenv").exists():
        return Environment("container", "Podman")
    try:
        said = ask("systemd-detect-virt").decode(errors="replace").strip()
    except OSError as error:
        # It exits with 1 and says so where there is nothing to detect.
        return Environment("native" if "exited with code 1:" in str(error) else "unknown")
    if said == "none":
        return Environment("native")
    if said == "wsl":
        return Environment("wsl", "WSL")
    kind = "container" if said in _CONTAINERS else "virtual_machine"
    return Environment(kind, _CALLED.get(said, said) or None)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
