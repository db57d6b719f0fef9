"""Copies of requests take no more memory than they may, whatever comes."""

from __future__ import annotations

import os

import pytest

from swapd.telemetry.captures import Capture, Captures, Draft, Headers


def shown(headers: Headers) -> dict[str, str]:
    return {name.decode(): "shown " + value.decode() for name, value in headers}


def draft_in(captures: Captures, body: bytes | None = b"{}", *, keeps_answer: bool = True) -> Draft:
    return Draft(
        captures,
        "/v1/x",
        show=shown,
        headers=[(b"a", b"1")],
        body=body,
        keeps_answer=keeps_answer,
    )


def packed(draft: Draft, *, is_whole: bool = True) -> bytes:
    told = draft.packed(is_whole=is_whole)
    assert told is not None
    return told


def one(draft: Draft, *, is_whole: bool = True) -> Capture:
    """Return what is kept of ``draft``."""
    captures = Captures(1 << 20)
    captures.keep(1, packed(draft, is_whole=is_whole))
    capture = captures.get(1)
    assert capture
    return capture


def test_a_capture_comes_back_as_it_was() -> None:
    draft = draft_in(Captures(1000))
    draft.begin(200, [(b"b", b"2")])
    draft.write(b"first, ")
    draft.write(b"second")
    assert one(draft) == Capture(
        "/v1/x", {"a": "shown 1"}, b"{}", {"b": "shown 2"}, b"first, second"
    )


@pytest.mark.parametrize(("status", "is_whole"), [(500, True), (404, True), (200, False)])
def test_the_body_of_what_failed_is_not_kept(status: int, is_whole: bool) -> None:
    draft = draft_in(Captures(1000))
    draft.begin(status, [])
    draft.write(b"half of it")
    assert one(draft, is_whole=is_whole).response_body is None


def test_what_was_never_answered_has_no_answer() -> None:
    assert one(draft_in(Captures(1000)), is_whole=False) == Capture(
        "/v1/x", {"a": "shown 1"}, b"{}", None, None
    )


def test_an_empty_answer_is_not_captured() -> None:
    draft = draft_in(Captures(1000))
    draft.begin(200, [])
    assert draft.packed(is_whole=True) is None


def test_bodies_that_are_not_wanted_are_not_kept() -> None:
    draft = draft_in(Captures(1000), None, keeps_answer=False)
    draft.begin(200, [])
    draft.write(b"sound" * 1000)
    capture = one(draft)
    assert (capture.request_body, capture.response_body) == (None, None)


def test_the_oldest_captures_go_first() -> None:
    draft = draft_in(Captures(10_000), os.urandom(1000))
    item = packed(draft, is_whole=False)
    captures = Captures(3 * len(item) + 10)
    for number in range(1, 6):
        captures.keep(number, item)
    assert [number for number in range(1, 6) if number in captures] == [3, 4, 5]
    captures.resize(2 * len(item))
    assert 3 not in captures
    assert 4 in captures
    captures.resize(0)
    assert 5 not in captures
    assert captures.get(5) is None


def test_one_that_is_larger_than_all_may_be_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    item = packed(draft_in(Captures(10_000), os.urandom(1000)), is_whole=False)
    captures = Captures(len(item))
    captures.keep(1, item)
    captures.resize(len(item) - 1)
    captures.keep(2, item)
    assert 2 not in captures
    assert caplog.messages == [f"request 2 is too large to be captured: {len(item)} bytes"]


def test_an_answer_without_end_is_dropped_as_a_whole(caplog: pytest.LogCaptureFixture) -> None:
    captures = Captures(1000)
    draft = draft_in(captures)
    draft.begin(200, [])
    for _ in range(100):
        draft.write(b"x" * 100)
    assert draft.packed(is_whole=True) is None
    assert caplog.messages == ["/v1/x: too large to be captured, or too much at once"]
    assert captures.has_room("", 1000)


def test_all_that_comes_shares_the_room_and_gives_it_back() -> None:
    captures = Captures(1000)
    first, second = draft_in(captures, b"x" * 600), draft_in(captures, b"x" * 600)
    assert second.packed(is_whole=False) is None
    assert first.packed(is_whole=False)
    for draft in (first, second, first):
        draft.release()
    assert captures.has_room("", 1000)
    assert not captures.has_room("", 1001)


def test_small_pieces_take_more_than_their_bytes() -> None:
    captures = Captures(1000)
    draft = draft_in(captures, b"")
    draft.begin(200, [])
    for _ in range(20):
        draft.write(b"x")
    assert draft.packed(is_whole=True) is None


def test_all_can_be_forgotten() -> None:
    captures = Captures(1000)
    captures.keep(1, packed(draft_in(captures), is_whole=False))
    captures.clear()
    assert 1 not in captures
