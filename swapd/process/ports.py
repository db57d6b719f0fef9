"""Finds out whether an address on this machine is taken.  Claims nothing."""

from __future__ import annotations

from typing import TypeAlias

import trio

#: Host and port, or the path of a socket in the file system.
Address: TypeAlias = tuple[str, int] | str

#: Seconds to wait for an answer; a free port refuses at once.
PATIENCE = 0.5


async def who_answers(address: Address) -> str | None:
    """Return where something accepts connections for ``address``, or None if nothing does."""
    if isinstance(address, str):
        return address if await _accepts_at(address) else None
    host, port = address
    for name in ("127.0.0.1", "::1") if host == "localhost" else (host,):
        if await _accepts(name, port):
            return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"
    return None


async def _accepts(host: str, port: int) -> bool:
    family = trio.socket.AF_INET6 if ":" in host else trio.socket.AF_INET
    try:
        with trio.move_on_after(PATIENCE), trio.socket.socket(family) as tried:
            await tried.connect((host, port))
            # A free port in the range of outgoing ones can, by chance, connect to itself.
            return bool(tried.getpeername() != tried.getsockname())
    except OSError:
        pass  # refused, or no such address here: nobody is there
    return False


async def _accepts_at(path: str) -> bool:
    try:
        with trio.move_on_after(PATIENCE):
            async with await trio.open_unix_socket(path):
                return True
    except OSError:
        pass  # no such file, or its server is gone
    return False
