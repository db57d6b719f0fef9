"""Groups and a matrix over real processes: who may run beside whom."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from swapd.testing.running import configuration, fake, run_swapd

pytestmark = pytest.mark.real_process

MODELS = {name: fake(name) for name in ("a", "b", "c")}

#: Seconds that no step of these tests takes on a machine that works.
LONG = 60

#: a and b may run together, and c only alone.
EACH: dict[str, dict[str, object]] = {
    "groups": {"groups": {"pair": {"swap": False, "members": ["a", "b"]}}},
    "matrix": {"matrix": {"sets": {"pair": "a & b", "alone": "c"}}},
    "matrix, the new way": {
        "routing": {"router": {"use": "matrix", "settings": {"matrix": {"sets": {"p": "a & b"}}}}}
    },
}


@pytest.mark.parametrize("kind", EACH)
async def test_what_fits_stays_and_what_does_not_makes_way(tmp_path: Path, kind: str) -> None:
    config = configuration(MODELS, **EACH[kind])
    with trio.fail_after(5 * LONG):
        async with run_swapd(tmp_path, config) as running:
            for model, expected in (
                ("a", {"a": "ready"}),
                ("b", {"a": "ready", "b": "ready"}),
                ("c", {"c": "ready"}),
                ("a", {"a": "ready"}),
            ):
                assert (await running.chat(model)).status == 200
                assert await running.states() == expected
