"""Copies of requests are kept under the numbers of their rows, and make room for others."""

from __future__ import annotations

from pathlib import Path

from swapd.telemetry.activity.activity import QUEUE
from swapd.telemetry.activity.keeping import Keeping, Retention
from swapd.telemetry.captures import Captures, Draft
from swapd.telemetry.finished import Finished
from tests.telemetry.activity.finished import finished
from tests.telemetry.activity.test_activity import EVERYTHING, Kept, keeping, until

ROOM = 10_000


def copied(captures: Captures, body: bytes = b"x" * 100) -> Finished:
    """Return a request that is over, with a copy of it."""
    headers = [(b"a", b"b")]
    draft = Draft(
        captures, "/v1/x", show=lambda _: {}, headers=headers, body=body, keeps_answer=True
    )
    draft.begin(200, [])
    draft.write(b"answer")
    return finished(collected=draft)


def capturing(kept: Kept, limit: int = ROOM, path: Path | None = None) -> Captures:
    """Have ``kept`` capture from now on."""
    kept.activity.reconfigure(Keeping(path, EVERYTHING, limit))
    return kept.activity.captures


async def test_a_copy_is_found_by_the_number_of_its_row_as_soon_as_that_is_told() -> None:
    async with keeping() as kept:
        captures = capturing(kept)
        kept.activity.record(finished())
        kept.activity.record(copied(captures))
        await kept.until_told(2)
        assert 1 not in captures
        capture = captures.get(2)
        assert capture
        assert capture.response_body == b"answer"


async def test_of_what_failed_no_answer_is_kept() -> None:
    async with keeping() as kept:
        captures = capturing(kept)
        draft = copied(captures).collected
        kept.activity.record(finished(collected=draft, error="broken off"))
        await kept.until_told(1)
        capture = captures.get(1)
        assert capture
        assert capture.response_body is None


async def test_a_copy_that_is_kept_makes_room_for_those_that_come() -> None:
    async with keeping() as kept:
        captures = capturing(kept)
        for count in range(1, 6):
            kept.activity.record(copied(captures, b"x" * 6000))
            await kept.until_told(count)
        assert all(number in captures for number in range(1, 6))
        assert captures.has_room("", ROOM)


async def test_a_copy_of_what_is_lost_makes_room_too() -> None:
    async with keeping(retention=Retention(rows=1)) as kept:
        captures = capturing(kept)
        for _ in range(QUEUE):
            kept.activity.record(finished())
        kept.activity.record(copied(captures))
        assert captures.has_room("", ROOM)


async def test_a_reload_without_captures_forgets_them() -> None:
    async with keeping() as kept:
        captures = capturing(kept)
        kept.activity.record(copied(captures))
        await kept.until_told(1)
        capturing(kept, 0)
        assert 1 not in captures


async def test_rows_of_another_file_have_no_copies_of_the_old_ones(tmp_path: Path) -> None:
    async with keeping() as kept:
        captures = capturing(kept)
        kept.activity.record(copied(captures))
        await kept.until_told(1)
        assert 1 in captures
        capturing(kept, ROOM, tmp_path / "other.db")
        await until((tmp_path / "other.db").exists)
        kept.activity.record(finished())
        await kept.until_told(2)
        assert await kept.ids() == [1]
        assert 1 not in captures
