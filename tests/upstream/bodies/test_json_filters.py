"""What filters make of JSON: what they name changes, and not one byte of anything else."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from swapd.config.filters import Filters
from swapd.errors import MalformedRequest
from swapd.upstream.bodies.json_filters import edits_of, steps_of
from tests.upstream.bodies.json_texts import SPACES, filtered, spelled
from tests.upstream.bodies.test_body import stored

# A model of the rules that is as plain as can be: JSON as lists of pairs, one rule at a time.


@dataclass
class Object:
    pairs: list[tuple[str, object]]


@dataclass(frozen=True)
class Number:
    """As it is written."""

    text: str


def understood(text: bytes | str) -> object:
    return json.loads(text, object_pairs_hook=Object, parse_int=Number, parse_float=Number)


def removed(value: object, keys: list[str]) -> object:
    key, *rest = keys
    if isinstance(value, Object):
        if rest:
            return Object([(k, removed(v, rest) if k == key else v) for k, v in value.pairs])
        return Object([(k, v) for k, v in value.pairs if k != key])
    if isinstance(value, list) and key.isdigit() and int(key) < len(value):
        at = int(key)
        return value[:at] + ([removed(value[at], rest)] if rest else []) + value[at + 1 :]
    return value


def given_(value: object, keys: list[str], new: object) -> object:
    if not keys:
        return new
    key, *rest = keys
    if isinstance(value, list) and key.isdigit():
        padded = value + [None] * (int(key) + 1 - len(value))
        padded[int(key)] = given_(padded[int(key)], rest, new)
        return padded
    if isinstance(value, Object):
        pairs = value.pairs
        places = [at for at, (k, _) in enumerate(pairs) if k == key]
        if not places:
            return Object([*pairs, (key, given_(None, rest, new))])
        at = places[-1]
        return Object([*pairs[:at], (key, given_(pairs[at][1], rest, new)), *pairs[at + 1 :]])
    return given_([] if key.isdigit() else Object([]), keys, new)


KEYS = st.sampled_from(["a", "A", "b", "0", "1", "model"])
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(".".join)
SCALARS = st.sampled_from(
    ['"x"', '"\\u0041\\"}"', "1.10", "123456789012345678901234567890", "null"]
)


def spaced(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*[part for each in parts for part in (SPACES, each)], SPACES).map("".join)


def containers(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = spaced(st.builds(spelled, KEYS, st.booleans()), st.just(":"), values)
    return st.one_of(
        st.lists(spaced(values), max_size=3).map(lambda parts: f"[{','.join(parts)}]"),
        st.lists(members, max_size=4).map(lambda parts: f"{{{','.join(parts)}}}"),
        st.lists(members, max_size=1).map(lambda parts: f"{{ {','.join(parts)}}}"),
    )


VALUES = st.recursive(SCALARS, containers, max_leaves=8)
BODIES = spaced(containers(VALUES).filter(lambda text: text[0] == "{"))
PARAMS = st.dictionaries(PATHS, st.sampled_from([True, "new", 7, {"a": 1}, [None]]), max_size=2)


@given(BODIES, st.lists(PATHS, max_size=2), PARAMS, PARAMS)
@example('{"a": 1 , "a": [{}] }', ["a"], {"a.0.b": 7}, {})
@example('{"A": 1, "a": 2}', ["a"], {}, {})
def test_filters_do_what_their_rules_say(
    text: str, strip: list[str], params: dict[str, JsonValue], by_name: dict[str, JsonValue]
) -> None:
    filters = Filters(tuple(sorted(strip)), params, {"me": by_name, "you": {"a": "wrong"}})
    expected = understood(text)
    for path in filters.strip_params:
        expected = expected if path.startswith("model") else removed(expected, path.split("."))
    for path, value in [*params.items(), *by_name.items()]:
        if not path.startswith("model"):
            new = understood(json.dumps(value))
            expected = given_(expected, path.split("."), new)

    assert understood(filtered(text.encode(), filters, asked="me")) == expected


def members_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield the keys of an object, each with its member as it is written."""
    decoder = json.JSONDecoder()
    at = text.index("{") + 1
    while (start := at + len(text[at:]) - len(text[at:].lstrip())) and text[start] != "}":
        key, at = decoder.raw_decode(text, start)
        at = text.index(":", at) + 1
        at += len(text[at:]) - len(text[at:].lstrip())
        _, at = decoder.raw_decode(text, at)
        yield key, text[start:at]
        at += len(text[at:]) - len(text[at:].lstrip())
        at += text[at] == ","


@given(BODIES, st.lists(PATHS, max_size=2), PARAMS)
def test_members_that_no_filter_names_stay_as_they_are_written(
    text: str, strip: list[str], params: dict[str, JsonValue]
) -> None:
    named = {path.partition(".")[0] for path in [*strip, *params]} - {"model"}
    changed = filtered(text.encode(), Filters(tuple(strip), params)).decode()

    def others(text: str) -> list[str]:
        return [member for key, member in members_of(text) if key not in named]

    assert others(changed) == others(text)


@given(BODIES, st.lists(PATHS, max_size=2), PARAMS)
def test_a_body_in_a_file_is_changed_alike(
    text: str, strip: list[str], params: dict[str, JsonValue]
) -> None:
    filters, body = Filters(tuple(strip), params), stored(text.encode())
    with body.whole() as seen:
        edits = edits_of(seen, model="m", filters=filters, asked="")
    body.close()
    assert edits == edits_of(text.encode(), model="m", filters=filters, asked="")


@given(BODIES, st.lists(PATHS, max_size=2), PARAMS)
def test_a_large_body_is_changed_alike(
    text: str, strip: list[str], params: dict[str, JsonValue]
) -> None:
    """A large one is taken apart in another way."""
    filters = Filters(tuple(strip), params)
    large = text + " " * 1024
    assert filtered(large.encode(), filters) == filtered(text.encode(), filters) + b" " * 1024


BODY = b'{"model": "m", "temperature": 1.10, "top_p": 1, "n": {"a": 1, "b": [1, 2]} }'


@pytest.mark.parametrize(
    ("strip", "params", "left"),
    [
        ((), {}, BODY),
        (("absent", "n.absent", "n.b.7", "top_p.x"), {}, BODY),
        (("temperature",), {}, BODY.replace(b' "temperature": 1.10,', b"")),
        (("n",), {}, b'{"model": "m", "temperature": 1.10, "top_p": 1 }'),
        (("n.a",), {}, BODY.replace(b'{"a": 1, ', b"{ ")),
        (("n.b.0",), {}, BODY.replace(b"[1, 2]", b"[ 2]")),
        (("n.b.-1",), {}, BODY.replace(b"[1, 2]", b"[1]")),
        (("n.a", "n.b"), {}, BODY.replace(b'{"a": 1, "b": [1, 2]}', b"{}")),
        ((), {"temperature": 0.5}, BODY.replace(b"1.10", b"0.5")),
        ((), {"temperature": {"x": [1]}}, BODY.replace(b"1.10", b'{"x":[1]}')),
        ((), {"new": "\u00e9\n"}, BODY[:-2] + b',"new":"\xc3\xa9\\n" }'),
        ((), {"extra.deep": 5}, BODY[:-2] + b',"extra":{"deep":5} }'),
        ((), {"n.c": 5}, BODY.replace(b"2]}", b'2],"c":5}')),
        ((), {"n.b.1": 5}, BODY.replace(b"2]", b"5]")),
        ((), {"n.b.3": 5}, BODY.replace(b"2]", b"2,null,5]")),
        ((), {"n.b.-1": 5}, BODY.replace(b"2]", b"2,5]")),
        ((), {"n.a.x": 5}, BODY.replace(b'"a": 1', b'"a": {"x":5}')),
        ((), {"n.b.x": 5}, BODY.replace(b"[1, 2]", b'{"x":5}')),
        ((), {"l.1": 5}, BODY[:-2] + b',"l":[null,5] }'),
        ((), {"l.:1": 5}, BODY[:-2] + b',"l":{"1":5} }'),
        ((), {r"n\.a": 5}, BODY[:-2] + b',"n.a":5 }'),
        (("top_p",), {"top_p": 2}, BODY.replace(b' "top_p": 1,', b"")[:-2] + b',"top_p":2 }'),
        (("model", "model.x"), {"model": "x", "model.y": 1}, BODY),
    ],
)
def test_what_each_filter_leaves(
    strip: tuple[str, ...], params: Mapping[str, JsonValue], left: bytes
) -> None:
    assert filtered(BODY, Filters(strip, params)) == left


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b"{}", b'{"a":1}'),
        (b" { } ", b' {"a":1 } '),
        (b'{\n  "x": 1,\n  "b": 2\n}\n', b'{\n  "x": 1,"a":1\n}\n'),
        (b'{"b": 1, "b": 2}', b'{"a":1}'),
        (b'{"a": 0, "b": 1, "a": 2}', b'{"a": 0, "a": 1}'),
        (b'{"\\u0062": 1, "\\u0061": 2}', b'{ "\\u0061": 1}'),
        (b'{"\xff": "\xff", "b": 1}', b'{"\xff": "\xff","a":1}'),
        (b'{"\\ud83d": 1, "b": "\\ud83d"}', b'{"\\ud83d": 1,"a":1}'),
        (b'\xef\xbb\xbf{"x": 1}', b'\xef\xbb\xbf{"x": 1,"a":1}'),
        (b'\xef\xbb\xbf\n{"b": "%b"}' % (b"x" * 2000), b'\xef\xbb\xbf\n{"a":1}'),
    ],
)
def test_where_things_are_added_and_what_is_left_of_odd_bodies(body: bytes, left: bytes) -> None:
    assert filtered(body, Filters(("b",), {"a": 1})) == left


def test_the_order_is_the_model_then_removing_then_setting_then_setting_by_name() -> None:
    filters = Filters(
        ("temperature",), {"temperature": 0.5, "top_p": 0.9}, {"nick": {"top_p": 0.1}}
    )
    body = b'{"temperature": 1, "model": "nick"}'
    assert filtered(body, filters, model="real", asked="nick") == (
        b'{ "model": "real","temperature":0.5,"top_p":0.1}'
    )
    assert filtered(body, filters, asked="other") == (
        b'{ "model": "nick","temperature":0.5,"top_p":0.9}'
    )


def test_what_is_set_already_is_no_change() -> None:
    filters = Filters(("n.x", "x"), {"temperature": 0.5, "n.a": 1})
    body = b'{"temperature":0.5, "n" : {"a":1}}'
    assert edits_of(body, model="", filters=filters, asked="") == []


def test_of_two_members_the_one_that_comes_last_is_set_though_they_look_alike() -> None:
    long = b'"' + b"x" * 1024 + b'"'
    body = b'{"a": 1, "b": %s, "a": 1, "b": 12, "b": 1}' % long
    assert filtered(body, Filters((), {"b": 2})) == body[:-2] + b"2}"
    assert filtered(body, Filters(("b",))) == b'{"a": 1, "a": 1}'
    body = b'{"a": "x,y", "b": %s, "a": 12}' % long
    assert filtered(body, Filters(("a",))) == b'{ "b": %s}' % long


def cost_of(body: bytes) -> float:
    started = time.process_time()
    assert filtered(body, Filters(("b",))) == body
    return time.process_time() - started


def test_a_key_that_comes_often_costs_what_other_keys_do() -> None:
    """A large value is not looked at again for each member that has its key."""
    large = b'"a":"' + b"x" * (4 * 1024 * 1024) + b'"}'
    same = b"{" + b'"a":1,' * 50_000 + large
    others = b"{" + b"".join(b'"%x":1,' % (0x10000 + each) for each in range(50_000)) + large
    assert cost_of(same) < 5 * cost_of(others)


def test_what_is_refused_has_taken_little_memory() -> None:
    body = b"{" + b",".join(b'"%x":1' % each for each in range(600_000)) + b"}"
    tracemalloc.start()
    with pytest.raises(MalformedRequest, match="too many"):
        filtered(body, Filters(("b",)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 60 * 1024 * 1024


@pytest.mark.parametrize("path", ["b", "in.b", "list.7"])
@pytest.mark.parametrize("keys", [["a"] * 100_001, [f"{each}" for each in range(100_001)]])
def test_what_would_take_too_much_memory_is_refused(path: str, keys: list[str]) -> None:
    def body(*keys: str) -> bytes:
        members = ",".join(f'"{key}":1' for key in keys)
        match path:
            case "b":
                return f"{{{members}}}".encode()
            case "in.b":
                return f'{{"in":{{{members}}}}}'.encode()
            case _:
                return f'{{"list":[{",".join("1" for _ in keys)}]}}'.encode()

    filters = Filters((), {path: 2})
    assert b"2" in filtered(body(*keys[1:]), filters)
    with pytest.raises(MalformedRequest, match="more than 100000 members, too many"):
        filtered(body(*keys), filters)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("a", [("a", None)]),
        ("a.b", [("a", None), ("b", None)]),
        ("a.0.-1", [("a", None), ("0", 0), ("-1", -1)]),
        (":1.:x", [("1", None), ("x", None)]),
        (r"a\.b.c\\.\:1", [("a.b", None), ("c\\", None), (":1", None)]),
        ("a..b", [("a", None), ("", None), ("b", None)]),
        ("-2.\u0661", [("-2", None), ("\u0661", None)]),
        ("a\\", [("a", None)]),
    ],
)
def test_what_a_path_leads_through(path: str, steps: list[tuple[str, int | None]]) -> None:
    assert [(step.key, step.index) for step in steps_of(path)] == steps
