"""For whom a request is: profile, then selector, then model."""

from __future__ import annotations

import pytest

from swapd.config.load import parse
from swapd.config.peers import PeerModel
from swapd.config.selectors import Target
from swapd.errors import UnknownModel
from swapd.ids import ModelId
from swapd.policy.directory import Directory
from swapd.policy.life import ModelState
from swapd.policy.naming import Names
from swapd.policy.profiles import Profiles
from swapd.policy.selectors import Destination, Selectors, Standing

CONFIG = parse(
    """
models:
  real: {cmd: serve, proxy: 'http://h:1', filters: {setParamsByID: {variant: {thinking: true}}}}
  hidden: {cmd: serve, proxy: 'http://h:2', unlisted: true}
peers:
  remote: {proxy: 'http://h:3', models: [far, real]}
selectors:
  any: {strategy: pin, targets: [variant, hidden]}
  turns: {strategy: spillover, targets: [real, far]}
profiles:
  coding:
    pins: {public: variant, off: null, real: hidden, far: any, gpt: remote/real}
""",
    "c.yaml",
    environ={},
)


def directory(profile: str | None = None) -> Directory:
    names = Names(
        CONFIG.models,
        CONFIG.aliases,
        peer_models=CONFIG.peer_models,
        selectors=CONFIG.selectors,
    )
    profiles = Profiles(CONFIG.profiles)
    profiles.activate(profile)
    return Directory(names, profiles, Selectors(), CONFIG.selectors)


def idle(target: Target) -> Standing:
    return Standing(ModelState.STOPPED, 0)


REAL, HIDDEN = ModelId("real"), ModelId("hidden")


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("real", Destination("real", REAL)),
        ("variant", Destination("variant", REAL)),
        ("far", Destination("far", PeerModel("remote", "far"))),
        ("remote/real", Destination("remote/real", PeerModel("remote", "real"))),
        ("any", Destination("variant", REAL, "any")),
    ],
)
def test_a_name_means_a_model_or_a_selectors_choice(asked: str, found: Destination) -> None:
    assert directory().find(asked, idle) == found


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("public", Destination("variant", REAL)),
        ("variant", Destination("variant", REAL)),
        ("real", Destination("hidden", HIDDEN)),
        ("far", Destination("variant", REAL, "any")),
        ("gpt", Destination("remote/real", PeerModel("remote", "real"))),
    ],
)
def test_an_active_profile_comes_first_and_once(asked: str, found: Destination) -> None:
    assert directory("coding").find(asked, idle) == found


@pytest.mark.parametrize(("asked", "profile"), [("public", None), ("off", "coding"), ("off", None)])
def test_what_means_nothing_now_is_unknown(asked: str, profile: str | None) -> None:
    with pytest.raises(UnknownModel):
        directory(profile).find(asked, idle)


def test_a_peek_takes_nobodys_turn() -> None:
    def loaded(target: Target) -> Standing:
        return Standing(ModelState.READY, 0)

    asked = directory()
    assert [asked.peek("turns", loaded).name for _ in range(3)] == ["real"] * 3
    assert [asked.find("turns", loaded).name for _ in range(2)] == ["real", "far"]
    assert asked.peek("any", idle) == asked.find("any", idle)
