"""Members of a JSON text that is too large to be kept, found as it comes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swapd.telemetry.usage.effort import Effort
from swapd.telemetry.usage.scanner import WANTED, Scanner

NAMES = st.sampled_from(["usage", "timings", "response", "message", "a", 'q"\\', "x" * 80])
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text('"\\{}[]:, é', max_size=90),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(NAMES, values, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=5)


def found(pieces: Iterable[bytes]) -> list[tuple[str, object]]:
    members: list[tuple[str, object]] = []
    scanner = Scanner(
        lambda name, text: members.append((name.decode(), json.loads(text))), Effort(10**9)
    )
    for piece in pieces:
        scanner.feed(piece)
    return members


def expected(root: object) -> list[tuple[str, object]]:
    """Return what is to be found in ``root``, by having it all."""
    members: list[tuple[str, object]] = []
    for outermost in root if isinstance(root, list) else [root]:
        if not isinstance(outermost, dict):
            continue
        for name, value in outermost.items():
            if name in ("response", "message") and isinstance(value, dict):
                members += wanted_of(value)
            members += wanted_of({name: value})
    return members


def wanted_of(members: dict[str, object]) -> list[tuple[str, object]]:
    return [
        (name, value)
        for name, value in members.items()
        if name.encode() in WANTED and isinstance(value, dict)
    ]


@example({"response": {"response": {"usage": {}}}}, [], False)
@example({"message": {"a": {"usage": {}}, "timings": {}}}, [], False)
@example({"usage": "usage", "a": {"usage": {}}, "timings": [{}]}, [], False)
@example([[{"usage": {}}], {"usage": {}}, {"message": {"usage": {}}}], [], False)
@example({"a": "x" * 70 + '\\"', "usage": {"b": "\\"}}, [40, 81, 82, 83, 84], True)
@given(
    OBJECTS | st.lists(OBJECTS | VALUES, max_size=3),
    st.lists(st.integers(0, 2000), max_size=6),
    st.booleans(),
)
def test_the_same_is_found_as_by_having_it_all(
    root: object, places: list[int], spaced: bool
) -> None:
    separators = (" , ", " : ") if spaced else (",", ":")
    text = json.dumps(root, separators=separators, ensure_ascii=False).encode()
    cuts = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    pieces = [text[start:end] for start, end in pairwise(cuts)]
    assert found(pieces) == expected(root)
    assert found(text[at : at + 1] for at in range(len(text))) == expected(root)


@pytest.mark.parametrize("size", [1, 10, 100_000])
def test_an_object_that_is_too_large_is_not_kept(size: int) -> None:
    large = {"a": ["x" * 20_000]}
    text = json.dumps({"usage": large, "timings": {"b": 1}}).encode()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert found(pieces)[-1] == ("timings", {"b": 1})
    assert size > 10 or len(found(pieces)) == 1


@pytest.mark.parametrize("text", [b"]]]}}}", b'"', b"\\", b'{"a":"\\', b"{{{{", b'{"usage":{'])
def test_what_is_no_json_does_no_harm(text: bytes) -> None:
    assert found([text, text]) == []
