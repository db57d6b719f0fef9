"""Reading and replacing the model of a body, for any JSON that there is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import MalformedRequest, NoModelNamed
from swapd.upstream.rewrite import model_of, with_model

SPACES = st.text(" \t\r\n", max_size=3)


def spelled(text: str, escape: bool) -> str:
    """Return ``text`` as a JSON string, with every character escaped or none that need not."""
    units = text.encode("utf-16-be", "surrogatepass").hex(" ", 2).split()
    return '"' + "".join(f"\\u{unit}" for unit in units) + '"' if escape else json.dumps(text)


STRINGS = st.builds(spelled, st.text(max_size=8) | st.just('mo\\del"'), st.booleans())
SCALARS = STRINGS | st.sampled_from(
    ["1.10", "-0.0", "123456789012345678901234567890", "1e999", "true", "false", "null", "0"]
)


def arrays(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    parts = st.lists(st.tuples(SPACES, values, SPACES).map("".join), max_size=3)
    return parts.map(lambda parts: "[" + ",".join(parts) + "]")


def objects(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    keys = STRINGS | st.just('"model"')
    members = st.tuples(SPACES, keys, SPACES, st.just(":"), SPACES, values, SPACES).map("".join)
    return st.lists(members, max_size=3).map(lambda parts: "{" + ",".join(parts) + "}")


VALUES = st.recursive(SCALARS, lambda inner: arrays(inner) | objects(inner), max_leaves=8)
OTHER_KEYS = st.builds(
    spelled, st.text(max_size=8).filter(lambda key: key != "model"), st.booleans()
)
MODEL_KEYS = st.sampled_from(['"model"', '"\\u006dodel"', '"m\\u006Fdel"'])
MEMBERS = st.tuples(SPACES, OTHER_KEYS, SPACES, st.just(":"), SPACES, VALUES, SPACES).map("".join)


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
    changed = with_model(body, new)

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
        with_model(body, "new")
        == b'{"model": "first", "a": {"model": "inner"}, "model": "new", "b": 1}'
    )


def test_half_an_emoji_is_the_servers_matter() -> None:
    body = rb'{"\udc00": "\\ud83d \ud83d", "model": "a", "ok": "\ud83d\ude00\ud83d"}'

    assert model_of(body) == "a"
    assert with_model(body, "b") == body.replace(b'"a"', b'"b"')


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
