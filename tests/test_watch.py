"""Seeing a configuration change, however it is written."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from swapd.watch import LOOK_EVERY, SETTLE, Watch

pytestmark = pytest.mark.real_process  # the real file system, mostly on the real clock


def overwrite(path: Path) -> None:
    path.write_text("changed")


def replace(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_text("changed")
    os.replace(other, path)


def remove_and_restore(path: Path) -> None:
    path.unlink()
    path.write_text("changed")


@pytest.mark.parametrize("change", [overwrite, replace, remove_and_restore])
@pytest.mark.parametrize("by", ["file", "folder", "symlink"])
async def test_a_change_is_seen(tmp_path: Path, change: Callable[[Path], None], by: str) -> None:
    (folder := tmp_path / "conf").mkdir()
    file = folder / "a.yaml"
    file.write_text("original")
    link = folder / "link.yaml"
    link.symlink_to(file)
    watched = {"file": file, "folder": folder, "symlink": link}[by]
    seen, stop = trio.Event(), trio.Event()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(Watch([watched]).run, seen.set, stop=stop))
            change(file)  # maybe before it has begun to look: it must not be missed
            await seen.wait()
            stop.set()


async def test_what_does_not_belong_to_it_is_not_seen(tmp_path: Path) -> None:
    file, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    file.write_text("original")
    seen: list[str] = []
    stop, both = trio.Event(), trio.Event()

    def see(what: str) -> None:
        seen.append(what)
        if what == "other":
            both.set()

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(Watch([file]).run, partial(see, "file"), stop=stop))
            nursery.start_soon(partial(Watch([other]).run, partial(see, "other"), stop=stop))
            overwrite(other)
            await both.wait()
            stop.set()
    assert "file" not in seen


async def test_what_the_system_does_not_tell_of_is_looked_at(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "not yet" / "a.yaml"
    seen, stop = trio.Event(), trio.Event()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(Watch([file]).run, seen.set, stop=stop))
            await trio.testing.wait_all_tasks_blocked()
            file.parent.mkdir()
            file.write_text("new")
            await seen.wait()
            stop.set()
    assert "does not tell of changes to the configuration" in caplog.text


async def test_a_file_that_is_still_being_written_is_one_change(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    file = tmp_path / "not yet" / "a.yaml"
    told, stop = list[float](), trio.Event()
    async with trio.open_nursery() as nursery:
        tell = partial(Watch([file]).run, lambda: told.append(trio.current_time()), stop=stop)
        nursery.start_soon(tell)
        await trio.testing.wait_all_tasks_blocked()
        file.parent.mkdir()
        for _ in range(20):
            with file.open("a") as more:
                more.write("more")
            await trio.sleep(SETTLE * 0.7)
        finished_at = trio.current_time()
        await trio.sleep(10 * LOOK_EVERY)
        stop.set()
    assert len(told) == 1
    assert told[0] > finished_at
