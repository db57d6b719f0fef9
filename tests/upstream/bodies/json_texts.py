"""Any JSON that there is, as text."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from swapd.config.filters import Filters
from swapd.upstream.bodies.body import with_edits
from swapd.upstream.bodies.json_filters import edits_of

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
MEMBERS = st.tuples(SPACES, OTHER_KEYS, SPACES, st.just(":"), SPACES, VALUES, SPACES).map("".join)


def filtered(body: bytes, filters: Filters, *, model: str = "", asked: str = "") -> bytes:
    return with_edits(body, edits_of(body, model=model, filters=filters, asked=asked))


def renamed(body: bytes, model: str) -> bytes:
    return filtered(body, Filters(), model=model)
