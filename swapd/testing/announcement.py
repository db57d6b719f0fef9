"""Says something on the terminal once a server that is about to start answers.

A small process of its own does it, because the one that asks becomes the server.
"""

from __future__ import annotations

import http.client
import os
import select
import signal
import sys
from typing import NamedTuple

#: Seconds between two looks at the server, and that one look may take.
INTERVAL = 0.1
LOOK = 2.0


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, listen: str) -> Address:
        """Read ``HOST:PORT``; an IPv6 host stands in brackets.

        Raises:
          ValueError: It is no such thing.
        """
        host, colon, port = listen.rpartition(":")
        if not (colon and port.isdecimal() and int(port) < 1 << 16):
            raise ValueError(f"{listen!r} is not HOST:PORT")
        return cls(host.strip("[]"), int(port))

    def __str__(self) -> str:
        """Spell it as it is read."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def reachable(self) -> str:
        """The host that a client on this machine uses."""
        return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    @property
    def url(self) -> str:
        """What a client on this machine calls it."""
        host = f"[{self.reachable}]" if ":" in self.reachable else self.reachable
        return f"http://{host}:{self.port}"


def announce_when_ready(address: Address, text: str) -> None:
    """Return at once; ``text`` is written when ``address`` answers, or never if we end first."""
    # We hold the writing end for as long as we live, whatever program we become: at its end the
    # reader sees EOF. A pid would not do, for a process that nobody has reaped still has one.
    gone, life = os.pipe()
    os.set_inheritable(life, True)
    if (child := os.fork()) == 0:
        # The grandchild is nobody's child, so that what becomes of us need not reap it.
        if os.fork() == 0:
            os.close(life)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _announce(address, text, gone)
        os._exit(0)
    os.close(gone)
    os.waitpid(child, 0)


def _announce(address: Address, text: str, gone: int) -> None:
    while not select.select([gone], [], [], INTERVAL)[0]:
        if _is_ready(address):
            sys.stdout.write(text)
            sys.stdout.flush()
            return


def _is_ready(address: Address) -> bool:
    connection = http.client.HTTPConnection(address.reachable, address.port, timeout=LOOK)
    try:
        connection.request("GET", "/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
