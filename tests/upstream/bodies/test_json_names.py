"""Reading what a JSON body says of itself, and replacing its model, for any JSON there is."""

from __future__ import annotations

import json
import mmap
import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import BodyTooLarge, MalformedRequest, NoModelNamed
from swapd.upstream.bodies.json_names import MAX_JSON_BYTES, named_in
from tests.upstream.bodies.json_texts import MEMBERS, SPACES, VALUES, objects, renamed, spelled
from tests.upstream.bodies.test_body import stored


def model_of(body: bytes) -> str:
    return named_in(body)[0]


MODEL_KEYS = st.sampled_from(['"model"', '"\\u006dodel"', '"m\\u006Fdel"'])


@given(
    before=st.lists(MEMBERS, max_size=3),
    after=st.lists(MEMBERS, max_size=3),
    key=MODEL_KEYS,
    spaces=st.tuples(SPACES, SPACES, SPACES, SPACES),
    old=st.text(min_size=1).filter(lambda text: text.isprintable()),
    escaped=st.booleans(),
    new=st.text(min_size=1),
)
def test_only_the_value_of_the_model_changes(
    before: list[str],
    after: list[str],
    key: str,
    spaces: tuple[str, str, str, str],
    old: str,
    escaped: bool,
    new: str,
) -> None:
    one, two, three, four = spaces
    head = "{" + ",".join([*before, f"{one}{key}{two}:{three}"])
    tail = ",".join([four, *after]) + "}"
    body = (head + spelled(old, escaped) + tail).encode()

    assert model_of(body) == old
    changed = renamed(body, new)

    assert model_of(changed) == new
    assert changed.startswith(head.encode())
    assert changed.endswith(tail.encode())
    middle = changed[len(head.encode()) : len(changed) - len(tail.encode())]
    assert json.loads(middle) == new


@given(VALUES | objects(VALUES))
def test_any_json_has_a_model_or_a_clear_refusal(text: str) -> None:
    parsed = json.loads(text)
    model = parsed.get("model") if isinstance(parsed, dict) else None
    expected = model if isinstance(model, str) and model else None

    try:
        assert model_of(text.encode()) == expected
    except (MalformedRequest, NoModelNamed):
        assert expected is None


@given(st.binary(max_size=40))
def test_what_is_no_json_is_refused_and_never_crashes(body: bytes) -> None:
    with pytest.raises((MalformedRequest, NoModelNamed)):
        model_of(body)


def test_the_last_of_two_models_counts_and_is_the_one_replaced() -> None:
    body = b'{"model": "first", "a": {"model": "inner"}, "model": "last", "b": 1}'

    assert model_of(body) == "last"
    assert (
        renamed(body, "new")
        == b'{"model": "first", "a": {"model": "inner"}, "model": "new", "b": 1}'
    )


def test_half_an_emoji_is_the_servers_matter() -> None:
    body = rb'{"\udc00": "\\ud83d \ud83d", "model": "a", "ok": "\ud83d\ude00\ud83d"}'

    assert model_of(body) == "a"
    assert renamed(body, "b") == body.replace(b'"a"', b'"b"')


def test_a_mark_of_the_byte_order_is_overlooked_and_stays() -> None:
    body = b'\xef\xbb\xbf {"model": "a", "half": "\\ud83d", "x": 1.10}'

    assert model_of(body) == "a"
    assert renamed(body, "b") == body.replace(b'"a"', b'"b"')


def test_so_many_halves_are_mended_and_no_more() -> None:
    assert model_of(b'{"model": "a", "x": "%s"}' % (rb"\ud83d" * 10_000)) == "a"
    with pytest.raises(MalformedRequest):
        model_of(b'{"model": "a", "x": "%s"}' % (rb"\ud83d" * 10_001))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "the body is not valid JSON: it ends too early (after 0 bytes)"),
        (b'{"model": "a"', "the body is not valid JSON: it ends too early (after 13 bytes)"),
        (b'{"a": [1,}', "the body is not valid JSON: invalid character (byte 9)"),
        (
            b'{"a": "\\ud83d", x}',
            "the body is not valid JSON: object keys must be strings (byte 16)",
        ),
        (b'{"model": "a"} x', "the body is not valid JSON: trailing characters (byte 16)"),
        (b'["model"]', "the body is not a JSON object"),
        (b'"model"', "the body is not a JSON object"),
        (b'{"model": 5}', "`model` must be a string"),
        (b'{"model": null}', "`model` must be a string"),
        (b'{"model": {"model": "a"}}', "`model` must be a string"),
        (b'{"model": "\xff"}', "`model` is not valid UTF-8"),
        (b'{"a": ' + b"[" * 100_000, "the body is nested too deeply"),
    ],
)
def test_a_malformed_body_is_refused_with_what_is_wrong_and_where(body: bytes, text: str) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        model_of(body)

    assert str(refusal.value) == text


@pytest.mark.parametrize("body", [b"{}", b'{"a": {"model": "inner"}}', b'{"model": ""}'])
def test_a_body_without_a_model_is_refused(body: bytes) -> None:
    with pytest.raises(NoModelNamed):
        model_of(body)


@pytest.mark.parametrize(
    ("stream", "is_one"),
    [
        ("true", True),
        ("false", False),
        ("null", False),
        ('"true"', True),
        ('"false"', False),
        ("1", True),
        ("-2.5", True),
        ("0", False),
        ("-0.00e5", False),
        ("0.5", True),
        ("{}", False),
    ],
)
def test_what_asks_for_a_stream(stream: str, is_one: bool) -> None:
    assert named_in(f'{{"stream": {stream}, "model": "m"}}'.encode()) == ("m", is_one)


HALVES = ["\\ud83d", "\\ude00", "\\u00e9", "\\\\", "u", "a", '\\"']


@given(st.lists(st.sampled_from(HALVES)).map("".join))
def test_half_emojis_anywhere_do_no_harm(text: str) -> None:
    body = f'{{"model": "m", "text": "{text}"}}'.encode()
    assert model_of(body) == "m"


def test_what_only_looks_like_half_an_emoji_is_not_mended() -> None:
    body = rb'{"model": "C:\\ud83d\\\\ude00\\\ud83d", "half": "\ude00"}'
    assert model_of(body) == "C:\\ud83d\\\\ude00\\" + "\N{REPLACEMENT CHARACTER}"


def test_json_that_takes_too_long_to_read_is_refused() -> None:
    with tempfile.TemporaryFile() as sparse:
        sparse.truncate(MAX_JSON_BYTES + 1)
        with (
            mmap.mmap(sparse.fileno(), 0, access=mmap.ACCESS_READ) as body,
            pytest.raises(BodyTooLarge, match="1073741824 bytes at most"),
        ):
            named_in(body)


def test_a_body_in_a_file_is_read_where_it_is() -> None:
    for text in (
        b'{"model": "m"}',
        b'{"model": "m", "half": "\\ud83d"}',
        b'\xef\xbb\xbf{"model": "m"}',
    ):
        body = stored(text)
        with body.whole() as seen:
            assert named_in(seen) == ("m", False)
        body.close()
    for wrong in (b"{}", b'{"model": 5}', b'{"model": "\\ud83d", x}'):
        body = stored(wrong)
        with pytest.raises((MalformedRequest, NoModelNamed)), body.whole() as seen:
            named_in(seen)
        body.close()
