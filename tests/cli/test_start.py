"""What a command loads before it does anything: people wait for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: What takes long to import, and serves only some commands.
SERVING = {"quart", "werkzeug", "hypercorn", "prometheus_client", "psutil", "sqlite3", "watchfiles"}
TALKING = {"trio", "trio_websocket", "h11", "rich", "yaml", "msgspec", "ssl"}

_RUN = """
import sys
from swapd.cli import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.mark.real_process
@pytest.mark.parametrize(
    ("args", "unwanted"),
    [
        ("--help", SERVING | TALKING),
        ("logs --help", SERVING | TALKING),
        ("logs --url http://127.0.0.1:1", SERVING | {"rich", "yaml"}),
        ("ps --url http://127.0.0.1:1", SERVING | {"rich", "yaml"}),
    ],
)
def test_a_command_loads_nothing_that_it_does_not_need(args: str, unwanted: set[str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _RUN, *args.split()], capture_output=True, text=True, check=False
    )
    loaded = set(ran.stderr.splitlines()[-1].split())
    assert "swapd.cli" in loaded
    assert sorted(unwanted & loaded) == []
