"""What filters come to: nothing twice, nothing protected, all sorted."""

from __future__ import annotations

import pytest

from tests.config.reading import complaint, model


def filters(text: str) -> str:
    return f"models: {{m: {{cmd: '${{PORT}}', filters: {text}}}}}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", ()),
        ("~", ()),
        ("{stripParams: ''}", ()),
        ("{stripParams: temperature}", ("temperature",)),
        ("{stripParams: 'temperature, top_p, top_k'}", ("temperature", "top_k", "top_p")),
        ("{stripParams: 'model, temperature'}", ("temperature",)),
        ("{stripParams: model}", ()),
        ("{stripParams: 'a,  a ,,b,'}", ("a", "b")),
        ("{strip_params: 'b, a'}", ("a", "b")),
        ("{stripParams: c, strip_params: 'b, a'}", ("c",)),
    ],
)
def test_keys_to_remove_are_sorted_and_never_the_model(text: str, words: tuple[str, ...]) -> None:
    assert model(filters(text)).filters.strip_params == words


def test_macros_are_put_in_before_the_words_are_cut() -> None:
    text = "macros: {default_strip: 'temperature, top_p'}\n"
    text += filters("{stripParams: 'model, top_k, top_k, temperature, ${default_strip}, , ,'}")
    assert model(text).filters.strip_params == ("temperature", "top_k", "top_p")


def test_keys_to_set_are_sorted_and_keep_their_values() -> None:
    text = "{setParams: {top_p: 0.9, model: x, stop: [a, 1], n: ~, provider: {b: 1, a: {c: true}}}}"
    assert list(model(filters(text)).filters.set_params.items()) == [
        ("n", None),
        ("provider", {"b": 1, "a": {"c": True}}),
        ("stop", ["a", 1]),
        ("top_p", 0.9),
    ]


def test_keys_for_one_id_are_found_by_exactly_that_id() -> None:
    text = "{setParamsByID: {'m:high': {z_: 1, a_: 2, model: x}, m: {model: x}, 'm:low': ~}}"
    found = model(filters(text)).filters.set_params_by_id
    assert found == {"m:high": {"a_": 2, "z_": 1}, "m": {}, "m:low": {}}


def test_numbers_as_keys_are_text_as_in_json() -> None:
    found = model(filters("{setParams: {logit_bias: {123: -100}}}")).filters
    assert found.set_params == {"logit_bias": {"123": -100}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{setParams: {t: .nan}}", "1:51: models.m.filters.setParams: holds .inf or .nan, which"),
        ("{setParams: [a]}", "1:51: models.m.filters.setParams: must be a mapping, not a list"),
        ("{setParamsByID: {x: 1}}", "1:59: models.m.filters.setParamsByID.x: must be a mapping"),
        ("{setparams: {}}", "1:40: models.m.filters.setparams: unknown key, did you mean setP"),
    ],
)
def test_what_is_no_filter_is_told(text: str, message: str) -> None:
    assert complaint(filters(text)).startswith(message)
