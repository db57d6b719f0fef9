"""Which model a path begins with, and what is left of the path."""

from __future__ import annotations

import pytest

from swapd.config.peers import PeerModel
from swapd.config.profiles import Profile
from swapd.errors import NoModelNamed, UnknownModel
from swapd.ids import ModelId
from swapd.policy.naming import Names
from swapd.policy.paths import Place, find_in_path
from swapd.policy.profiles import Profiles

LOCAL = ("m", "author", "author/model", "x.y")
NAMES = Names(
    [ModelId(name) for name in LOCAL],
    {"nick": ModelId("m"), "a/b/c": ModelId("m")},
    peer_models={"p/org/far": PeerModel("p", "org/far"), "org/far": PeerModel("p", "org/far")},
    selectors=("any", "author/any"),
)
PINS = {"virtual": "m", "author": "x.y", "author/off": None, "chosen": "any", "lost": "nobody"}


def pinned() -> Profiles:
    profiles = Profiles({"p": Profile("p", "", PINS)})
    profiles.activate("p")
    return profiles


def place(path: bytes, *, profiles: Profiles | None = None) -> Place:
    return find_in_path(path, NAMES, profiles or Profiles({}))


@pytest.mark.parametrize(
    ("path", "name", "rest"),
    [
        (b"m", "m", b""),
        (b"m/", "m", b"/"),
        (b"m/v1/x", "m", b"/v1/x"),
        (b"author", "author", b""),
        (b"author/other", "author", b"/other"),
        (b"author/model", "author/model", b""),
        (b"author/model/x", "author/model", b"/x"),
        (b"author%2Fmodel/api/x%2Fy", "author/model", b"/api/x%2Fy"),
        (b"author%2fmodel", "author/model", b""),
        (b"/author//model//x", "author/model", b"//x"),
        (b"%6d/x", "m", b"/x"),
        (b"m//a/../b/./c%2F%252F?", "m", b"//a/../b/./c%2F%252F?"),
        (b"m/m/x", "m", b"/m/x"),
        (b"x.y/..", "x.y", b"/.."),
        (b"nick/x", "nick", b"/x"),
        (b"a/b/c/d", "a/b/c", b"/d"),
        (b"p/org/far/v1", "p/org/far", b"/v1"),
        (b"org/far", "org/far", b""),
    ],
)
def test_the_longest_name_counts_and_the_rest_stays_as_written(
    path: bytes, name: str, rest: bytes
) -> None:
    target = NAMES.find(name)
    assert target is not None
    assert place(path) == Place(name, target, rest)


@pytest.mark.parametrize("path", [b"", b"/", b"///"])
def test_a_path_of_nothing_names_no_model(path: bytes) -> None:
    with pytest.raises(NoModelNamed):
        place(path)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (b"mm/x", "model not found: 'mm'; did you mean 'm'?"),
        (b"a/b", "model not found: 'a'"),
        (b"M", "model not found: 'M'"),
        (b"any/x", "'any' is a selector: it stands for no one server, name a model"),
        (b"x" * 9000 + b"/y", f"model not found: '{'x' * 200}'…"),
    ],
)
def test_a_path_that_begins_with_no_model_is_refused(path: bytes, said: str) -> None:
    with pytest.raises(UnknownModel) as refusal:
        place(path)
    assert str(refusal.value).startswith(said)


def test_a_path_of_many_segments_is_not_looked_at_to_its_end() -> None:
    found = place(b"m" + b"/a" * 100_000)
    assert (found.name, len(found.rest)) == ("m", 200_000)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (b"virtual/x", Place("virtual", ModelId("m"), b"/x")),
        (b"author/model", Place("author", ModelId("x.y"), b"/model")),
        (b"m/x", Place("m", ModelId("m"), b"/x")),
    ],
)
def test_what_the_profile_pins_goes_first(path: bytes, found: Place) -> None:
    assert place(path, profiles=pinned()) == found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (b"author/off/x", "'author/off' is disabled by the active profile 'p'"),
        (b"chosen/x", "'any' is a selector"),
        (b"lost", "model not found: 'nobody'"),
    ],
)
def test_a_pin_that_leads_to_no_model_is_refused(path: bytes, said: str) -> None:
    with pytest.raises(UnknownModel, match=said):
        place(path, profiles=pinned())
