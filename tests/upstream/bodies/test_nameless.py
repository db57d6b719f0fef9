"""Files that nobody can find, and that are gone when they are closed."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swapd.errors import BodyNotKept
from swapd.upstream.bodies.nameless import Files, NamelessFile, folder


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse larger files, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_written_is_read_and_leaves_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    file = NamelessFile()
    file.append(b"one ")
    file.append(bytearray(b"two"))
    assert (file.read(0, 100), file.read(2, 3), file.size) == (b"one two", b"e t", 7)
    assert list(tmp_path.iterdir()) == []
    file.close()
    file.close()


def test_files_of_a_request_are_closed_together() -> None:
    files = Files()
    before = set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()
    opened = [files.open(), files.open()]
    files.close()
    files.close()
    if before:
        assert set(os.listdir("/proc/self/fd")) == before
    for file in opened:
        with pytest.raises(ValueError, match="closed"):
            file.read(0, 1)


def test_a_full_disk_is_told_with_what_to_do() -> None:
    file = NamelessFile()
    with files_of_at_most(1000), pytest.raises(BodyNotKept) as told:
        file.append(b"x" * 2000)
    file.close()
    assert str(told.value) == (
        f"the request's body cannot be kept in {folder()}: file too large; make room there, or "
        "set TMPDIR to a folder with more"
    )


def test_a_folder_that_takes_no_file_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    monkeypatch.setenv("TMPDIR", "/nowhere")
    with pytest.raises(BodyNotKept, match="cannot be kept in /nowhere: no such file or directory"):
        NamelessFile()


def test_a_file_that_lost_its_end_is_told() -> None:
    file = NamelessFile()
    with pytest.raises(BodyNotKept, match="became shorter"):
        file.read(0, 1)
    file.close()


def test_memory_is_not_taken_for_a_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    assert folder() == "/var/tmp"
