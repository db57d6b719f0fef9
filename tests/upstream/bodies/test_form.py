"""Fields in queries and in plain forms."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import MalformedRequest
from swapd.upstream.bodies.body import with_edits
from swapd.upstream.bodies.form import fields_of


def renamed(form: bytes, name: str) -> bytes:
    fields = fields_of(form, "model")
    return with_edits(form, [edit for field in fields for edit in field.renamed(name)])


@given(
    st.lists(
        st.sampled_from(
            ["model=", "mod%65l=x", "models", "a", "", "=", "&", "%zz", "+", "x=y", ";"]
        ),
        max_size=12,
    ).map("".join),
    st.text(max_size=5),
)
def test_the_model_changes_and_nothing_else(form: str, name: str) -> None:
    def pairs(form: str) -> list[tuple[str, str]]:
        with_values = "&".join(pair for pair in form.split("&") if "=" in pair)
        return parse_qsl(with_values, keep_blank_values=True)

    before, after = pairs(form), pairs(renamed(form.encode(), name).decode())
    assert after == [(key, name if key == "model" else value) for key, value in before]


@pytest.mark.parametrize(
    ("form", "left"),
    [
        (b"", b""),
        (b"model=a&b=%2F+c", b"model=n%2F+%C3%A9&b=%2F+c"),
        (b"b&&model=&model=x=y&", b"b&&model=n%2F+%C3%A9&model=n%2F+%C3%A9&"),
        (b"mod%65l=a", b"mod%65l=n%2F+%C3%A9"),
        (b"model&xmodel=a", b"model&xmodel=a"),
    ],
)
def test_what_renaming_leaves(form: bytes, left: bytes) -> None:
    assert renamed(form, "n/ é") == left


@pytest.mark.parametrize(
    ("field", "most", "why"),
    [
        (b"model=a", 100, "more than 100 fields like `model`"),
        (b"m%6fdel=a", 100, "more than 100 fields like `model`"),
        (b"x=y", 10_000, "more than 10000 fields"),
        (b"z", 10_000, "more than 10000 fields"),
    ],
)
def test_a_form_has_no_more_fields_than_anybody_needs(field: bytes, most: int, why: str) -> None:
    assert len([*fields_of(b"&".join([field] * most), "model")]) in (0, most)
    with pytest.raises(MalformedRequest, match=why):
        list(fields_of(b"&".join([field] * (most + 1)), "model"))


def test_a_name_has_a_length_that_can_be_read() -> None:
    (field,) = fields_of(b"model=" + b"a" * 65_536, "model")
    assert len(field.value) == 65_536
    with pytest.raises(MalformedRequest, match="`model` is too long"):
        list(fields_of(b"x=y&%6dodel=" + b"a" * 65_537, "model"))
    assert not [*fields_of(b"x=" + b"a" * 65_537 + b"&" + b"a" * 65_537, "model")]


def test_values_are_read_as_forms_write_them() -> None:
    (field,) = fields_of(b"a=b&model=org%2Fm+%C3%A9%", "model", "stream")
    assert (field.name, field.value) == ("model", "org/m é%")
