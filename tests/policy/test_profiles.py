"""What a name means while a profile is active."""

from __future__ import annotations

import pytest

from swapd.config.profiles import Profile
from swapd.errors import UnknownModel, UnknownProfile
from swapd.policy.profiles import Profiles

CODING = Profile("coding", "", {"gpt": "coder", "coder": "small", "off": None})
CHATTING = Profile("chatting", "", {"gpt": "talker"})
BOTH = {"coding": CODING, "chatting": CHATTING}


def test_at_first_every_name_means_itself() -> None:
    profiles = Profiles(BOTH)
    assert profiles.active is None
    assert [profiles.meaning(name) for name in ("gpt", "coder", "off")] == ["gpt", "coder", "off"]


def test_an_active_profile_gives_names_another_meaning() -> None:
    profiles = Profiles(BOTH)
    profiles.activate("chatting")
    assert (profiles.active, profiles.meaning("gpt")) == ("chatting", "talker")
    assert (profiles.meaning("GPT"), profiles.meaning("else")) == ("GPT", "else")


def test_pins_do_not_chain() -> None:
    profiles = Profiles(BOTH)
    profiles.activate("coding")
    assert (profiles.meaning("gpt"), profiles.meaning("coder")) == ("coder", "small")


def test_a_disabled_name_is_told_with_the_profile_that_disables_it() -> None:
    profiles = Profiles(BOTH)
    profiles.activate("coding")
    with pytest.raises(UnknownModel, match="'off' is disabled by the active profile 'coding'"):
        profiles.meaning("off")


@pytest.mark.parametrize("nothing", [None, ""])
def test_to_activate_nothing_ends_the_active_one(nothing: str | None) -> None:
    profiles = Profiles(BOTH)
    profiles.activate("coding")
    profiles.activate(nothing)
    assert (profiles.active, profiles.meaning("gpt")) == (None, "gpt")


def test_to_activate_an_unknown_one_changes_nothing() -> None:
    profiles = Profiles(BOTH)
    profiles.activate("coding")
    with pytest.raises(UnknownProfile, match='profile "writing" not found'):
        profiles.activate("writing")
    assert profiles.active == "coding"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("x" * 100_000, f"{'x' * 200}…"), ("a\n\x1b[31m\u202e", r"a\n\x1b[31m\u202e"), ("é b", "é b")],
)
def test_what_a_client_calls_a_profile_fits_into_a_line(name: str, shown: str) -> None:
    with pytest.raises(UnknownProfile) as unknown:
        Profiles(BOTH).activate(name)
    assert str(unknown.value) == f'profile "{shown}" not found'


def test_a_new_configuration_keeps_the_active_one_if_it_has_it() -> None:
    profiles = Profiles(BOTH)
    profiles.activate("coding")
    profiles.reconfigure({"coding": Profile("coding", "", {"gpt": "newer"})})
    assert (profiles.active, profiles.meaning("gpt")) == ("coding", "newer")
    profiles.reconfigure({"chatting": CHATTING})
    assert (profiles.active, profiles.meaning("gpt")) == (None, "gpt")


def test_profiles_are_told_by_name() -> None:
    assert [*Profiles(BOTH)] == [CHATTING, CODING]
