"""Fields in multipart bodies: found in any cutting, and renamed without touching anything else."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.errors import MalformedRequest
from swapd.upstream.bodies.body import with_edits
from swapd.upstream.bodies.multipart import Field, Scanner, boundary_of

BOUNDARY = b"-x-9"


def scanned(body: bytes, cuts: list[int] | None = None) -> list[Field]:
    """Return the fields ``model`` and ``stream`` of ``body``, which comes cut at ``cuts``."""
    scanner = Scanner(BOUNDARY, "model", "stream")
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts or [])})
    for start, end in pairwise(places):
        scanner.feed(body[start:end])
    scanner.finish()
    return scanner.fields


@dataclass(frozen=True)
class Part:
    """One part of a body, in the order of its bytes."""

    headers: bytes
    content: bytes
    field: str = ""

    def written(self, content: bytes | None = None) -> bytes:
        content = self.content if content is None else content
        headers = self.headers.replace(b"SIZE", b"%d" % len(content))
        return b"--" + BOUNDARY + b"\r\n" + headers + b"\r\n" + content + b"\r\n"


DISPOSITION = b"Content-Disposition: form-data; "
WAYS_TO_SAY_MODEL = [
    DISPOSITION + b'name="model"\r\n',
    b"content-disposition:form-data;name=model\r\n",
    b'X: y\r\nCONTENT-DISPOSITION: form-data;\r\n  name="model"\r\nContent-Type: text/plain\r\n',
    DISPOSITION + b'name="model"\r\ncontent-length:  SIZE \r\n',
    b"Content-Length: SIZE\r\n" + DISPOSITION + b'name="model"\r\n',
]
OTHER_HEADERS = [
    b"",
    DISPOSITION + b'name="file"; filename="model"\r\nContent-Type: audio/wav\r\n',
    DISPOSITION + b'name="model"; filename="m.bin"\r\nContent-Length: SIZE\r\n',
    DISPOSITION + b"name=\"model\"; filename*=utf-8''m\r\n",
    DISPOSITION + b'name="model[]"\r\n',
    DISPOSITION + b'name="\xc3\xa9\xff"\r\n',
    b"Content-Type: text/plain; name=model\r\n",
]
NEARLY = [
    b"\r\n--",
    BOUNDARY,
    b"--",
    b"\r",
    b"\n",
    b"x",
    b"\0\xff",
    b"\r\n\r\n",
    b"\n--" + BOUNDARY,
]
NEARLY += [b"x--" + BOUNDARY + b"\r\n", b"\r\n--" + BOUNDARY + b"-\r\n"]
CONTENTS = st.lists(st.sampled_from(NEARLY), max_size=6).map(b"".join)
NAMES = st.text(max_size=9).map(str.encode) | CONTENTS.filter(lambda data: b"\xff" not in data)


def is_content(data: bytes) -> bool:
    """Tell whether no line of ``data`` is a boundary."""
    lines = (b"\r\n" + data + b"\r\n").replace(b"\r\n", b"\n").split(b"\n")
    boundaries = (b"--" + BOUNDARY, b"--" + BOUNDARY + b"--")
    return not any(line.rstrip(b"\r") in boundaries for line in lines)


MODEL_PARTS = st.builds(
    Part, st.sampled_from(WAYS_TO_SAY_MODEL), NAMES.filter(is_content), st.just("model")
)
OTHER_PARTS = st.builds(Part, st.sampled_from(OTHER_HEADERS), CONTENTS.filter(is_content))
STREAM = Part(DISPOSITION + b'name="stream"\r\n', b"true", "stream")


@given(
    preamble=st.sampled_from([b"", b"ignore\r\nthis\r\n", b"\r\n"]),
    parts=st.lists(MODEL_PARTS | OTHER_PARTS | st.just(STREAM), max_size=5),
    epilogue=st.sampled_from([b"", b"\r\n", b" \t", b"\r\nand this\r\n--" + BOUNDARY + b"\r\n"]),
    cuts=st.lists(st.integers(0, 10_000), max_size=30),
    new=st.text(max_size=9),
)
def test_any_cutting_finds_the_same_and_renaming_changes_nothing_else(
    preamble: bytes, parts: list[Part], epilogue: bytes, cuts: list[int], new: str
) -> None:
    end = b"--" + BOUNDARY + b"--" + epilogue
    body = preamble + b"".join(part.written() for part in parts) + end

    fields = scanned(body, cuts)
    assert [(field.name, field.value.encode()) for field in fields] == [
        (part.field, part.content) for part in parts if part.field
    ]

    models = [field for field in fields if field.name == "model"]
    changed = with_edits(body, [edit for field in models for edit in field.renamed(new)])
    assert (
        changed
        == preamble
        + b"".join(part.written(new.encode() if part.field == "model" else None) for part in parts)
        + end
    )


@given(st.binary(max_size=60) | CONTENTS, st.lists(st.integers(0, 60), max_size=30))
def test_any_cutting_of_anything_has_the_same_end(body: bytes, cuts: list[int]) -> None:
    def outcome(cuts: list[int]) -> object:
        try:
            return scanned(body, cuts)
        except MalformedRequest as refusal:
            return str(refusal)

    assert outcome(cuts) == outcome([])


@pytest.mark.parametrize("size", [64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1])
@pytest.mark.parametrize("what", ["value", "headers", "line"])
def test_what_is_held_is_bounded_alike_in_any_cutting(what: str, size: int) -> None:
    head = DISPOSITION + b'name="model"\r\n'
    match what:
        case "value":
            body, is_fine = Part(head, b"m" * size).written(), size <= 64 * 1024
        case "headers":
            padding = b"X: " + b"x" * (size - len(head) - 7) + b"\r\n"
            body, is_fine = Part(head + padding, b"").written(), size <= 64 * 1024
        case _:
            line = b"--" + BOUNDARY + b" " * (size - len(BOUNDARY) - 4) + b"\r\n"
            body, is_fine = line + b"\r\n\r\n", size <= 64 * 1024
    body += b"--" + BOUNDARY + b"--\r\n"
    for cuts in ([], list(range(0, len(body), 999)), list(range(0, len(body), 10_007))):
        if is_fine:
            scanned(body, cuts)
        else:
            with pytest.raises(MalformedRequest, match="too long"):
                scanned(body, cuts)


def test_lines_may_end_with_a_bare_line_feed() -> None:
    body = b'--%b\nContent-Disposition: form-data; name="model"\n\nm\n--%b\n\nrest\n--%b--\n' % (
        BOUNDARY,
        BOUNDARY,
        BOUNDARY,
    )
    (field,) = scanned(body)
    assert body[field.start : field.end] == b"m"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it ends without its last boundary"),
        (b"--" + BOUNDARY + b"\r\n", "it ends without its last boundary"),
        (Part(b"", b"x").written(), "it ends without its last boundary"),
        (Part(b"", b"x").written() + b"--" + BOUNDARY, "it ends without its last boundary"),
        (Part(b"", b"").written() * 10_001, "it has more than 10000 parts"),
        (STREAM.written() * 102, "it has more than 100 fields like `stream`"),
    ],
)
def test_what_is_no_multipart_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        scanned(body)
    assert str(refusal.value) == f"the body is not valid multipart/form-data: {why}"


@pytest.mark.parametrize("size", [1000, 1001])
def test_headers_of_a_part_that_take_long_to_read_are_refused(size: int) -> None:
    headers = DISPOSITION.replace(b";", b";" * size) + b'name="model"\r\n'
    body = Part(headers, b"m").written() + b"--" + BOUNDARY + b"--"
    if size <= 1000:
        assert [field.value for field in scanned(body)] == ["m"]
    else:
        with pytest.raises(MalformedRequest, match="headers have more than 1000 parameters"):
            scanned(body)


def test_so_many_fields_may_be_held_and_no_more() -> None:
    models = [Part(WAYS_TO_SAY_MODEL[0], b"m"), STREAM] * 50
    body = b"".join(part.written() for part in models) + b"--" + BOUNDARY + b"--"
    assert len(scanned(body)) == 100


def test_a_model_that_is_no_text_is_refused() -> None:
    body = Part(WAYS_TO_SAY_MODEL[0], b"\xff").written() + b"--" + BOUNDARY + b"--"
    with pytest.raises(MalformedRequest, match="`model` is not valid UTF-8"):
        scanned(body)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (b"multipart/form-data; boundary=abc", b"abc"),
        (b'Multipart/Form-Data; charset=x; BOUNDARY="a b\'c:="', b"a b'c:="),
        (b"multipart/form-data;boundary=a\xff", b"a\xff"),
    ],
)
def test_the_boundary_is_in_the_content_type(content_type: bytes, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("parameters", [b"", b"; boundary=", b"; border=a"])
def test_a_content_type_without_a_boundary_is_refused(parameters: bytes) -> None:
    with pytest.raises(MalformedRequest, match="says no boundary"):
        boundary_of(b"multipart/form-data" + parameters)
