"""What a name means: swapd's own models, aliases, models of peers, selectors."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swapd.config.peers import PeerModel
from swapd.errors import UnknownModel
from swapd.ids import ModelId
from swapd.policy.naming import Names, full_name

ALPHA, BETA = ModelId("alpha"), ModelId("beta")
REMOTE, SHARED = PeerModel("there", "remote"), PeerModel("there", "beta")
NAMES = Names(
    [ALPHA, BETA],
    {"gpt-4o": ALPHA, "beta": ALPHA},
    peer_models={"there/remote": REMOTE, "remote": REMOTE, "there/beta": SHARED, "beta": SHARED},
    selectors=["any"],
)


@pytest.mark.parametrize(
    ("name", "model"), [("alpha", "alpha"), ("gpt-4o", "alpha"), ("beta", "beta")]
)
def test_an_id_beats_an_alias(name: str, model: str) -> None:
    assert NAMES.target(name) == NAMES.resolve(name) == model


@pytest.mark.parametrize(
    ("name", "found"),
    [("there/remote", REMOTE), ("remote", REMOTE), ("there/beta", SHARED), ("beta", BETA)],
)
def test_our_own_models_go_before_those_of_peers(name: str, found: object) -> None:
    assert NAMES.target(name) == NAMES.find(name) == found


@pytest.mark.parametrize("name", ["Alpha", " alpha", "alphabet soup", "", "there/", "any"])
def test_only_the_exact_name_of_a_model_counts(name: str) -> None:
    assert NAMES.find(name) is None
    with pytest.raises(UnknownModel):
        NAMES.target(name)
    with pytest.raises(UnknownModel):
        NAMES.resolve(name)


@pytest.mark.parametrize("name", ["alpha", "gpt-4o", "remote", "there/remote", "any"])
def test_whatever_means_something_is_known(name: str) -> None:
    assert name in NAMES
    assert name.upper() not in NAMES


@pytest.mark.parametrize(
    ("name", "hint"),
    [("alhpa", r"; did you mean 'alpha'\?"), ("there/remot", "; did you mean 'there/remote'"),
     ("ayn", r"; did you mean 'any'\?"), ("something else", "$")],
)  # fmt: skip
def test_a_near_miss_is_told_what_comes_near(name: str, hint: str) -> None:
    with pytest.raises(UnknownModel, match=f"model not found: '{name}'{hint}"):
        NAMES.target(name)


def test_who_writes_a_name_in_other_letters_is_told_how_it_is_written() -> None:
    models = [ModelId("Qwen/Qwen2.5-7B"), ModelId("GLM"), ModelId("glm")]
    names = Names(models, {"gpt-4o": models[0]}, peer_models={}, selectors=[])
    told = {"qwen/qwen2.5-7b": "'Qwen/Qwen2.5-7B'", "GPT-4O": "'gpt-4o'", "Glm": "'GLM' or 'glm'"}
    for name, written in told.items():
        with pytest.raises(UnknownModel) as unknown:
            names.target(name)
        assert str(unknown.value) == f"model not found: '{name}'; did you mean {written}?"


def test_no_more_than_three_names_are_said_to_come_near() -> None:
    models = [ModelId(name) for name in ("GLM", "Glm", "glm", "glM")]
    with pytest.raises(UnknownModel, match=r"'GLM' or 'Glm' or 'glm'\?$"):
        Names(models, {}, peer_models={}, selectors=[]).target("gLm")


def test_a_name_of_more_than_200_characters_is_cut_and_compared_with_nothing() -> None:
    names = Names([ModelId("x" * 199)], {}, peer_models={}, selectors=[])
    with pytest.raises(UnknownModel) as compared:
        names.target("x" * 200)
    assert str(compared.value).endswith(f"'; did you mean '{'x' * 199}'?")
    with pytest.raises(UnknownModel) as cut:
        names.target("x" * 201)
    assert str(cut.value) == f"model not found: '{'x' * 200}'…"


def test_a_near_miss_of_what_is_pinned_is_told_and_not_what_is_disabled() -> None:
    pins = {"public": "alpha", "alpha": None, "beta": "any"}
    with pytest.raises(UnknownModel, match=r"'publik'; did you mean 'public'\?"):
        NAMES.target("publik", pins)
    with pytest.raises(UnknownModel, match=r"'publik'$"):
        NAMES.target("publik")
    with pytest.raises(UnknownModel, match=r"'alphaa'$"):
        NAMES.target("alphaa", pins)
    with pytest.raises(UnknownModel, match=r"'betaa'; did you mean 'beta'\?"):
        NAMES.target("betaa", pins)


@pytest.mark.parametrize("ask", [Names.target, Names.resolve])
def test_who_names_what_several_peers_have_is_told_their_full_names(
    ask: Callable[[Names, str], object],
) -> None:
    models = {f"{peer}/org/m": PeerModel(peer, "org/m") for peer in ("two", "one")}
    names = Names([ALPHA], {}, peer_models=models, selectors=[])
    with pytest.raises(UnknownModel) as unknown:
        ask(names, "org/m")
    words = "'org/m' is a model of several peers: 'one/org/m' or 'two/org/m'"
    assert str(unknown.value) == words


def test_who_asks_for_a_model_to_run_is_told_that_it_is_a_peers() -> None:
    with pytest.raises(UnknownModel, match="'remote' is a model of the peer 'there', not one"):
        NAMES.resolve("remote")
    with pytest.raises(UnknownModel, match=r"model not found: 'there/remot'$"):
        NAMES.resolve("there/remot")


def test_an_endless_name_is_cut() -> None:
    with pytest.raises(UnknownModel) as unknown:
        NAMES.resolve("x" * 100_000)
    assert len(str(unknown.value)) < 300


@pytest.mark.parametrize(("target", "name"), [(ALPHA, "alpha"), (REMOTE, "there/remote")])
def test_every_model_has_a_name_that_is_its_alone(target: ModelId | PeerModel, name: str) -> None:
    assert full_name(target) == name
