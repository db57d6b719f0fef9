"""What one sees of a configuration that has no problems."""

from __future__ import annotations

from swapd.config.summary import summary
from tests.config.reading import read


def test_a_configuration_is_told_on_one_screen() -> None:
    text = """
        startPort: 6000
        models:
          chat: {cmd: "serve ${PORT} --api-key hunter2", ttl: 60, aliases: [gpt, x]}
          embed: {cmd: "embed", proxy: "http://user:hunter2@h:7/v1"}
        groups: {always: {persistent: true, swap: no, exclusive: no, members: [embed]}}
        hooks: {on_startup: {preload: [embed]}}
        apiKeys: [hunter2]
        peers: {far: {proxy: "https://far.example/v1", apiKey: hunter2, models: [big]}}
        selectors: {any: {strategy: warm, targets: [chat, embed]}}
        profiles: {cheap: {description: Small ones, pins: {big: chat}}}
    """
    found = summary(read(text))
    assert (
        found
        == """\
Models
  chat   localhost:6000  serve  unloaded after 60 s  also gpt, x
  embed  h:7             embed  stays loaded

Groups
  always     embed  all together; leaves other groups alone; stopped by none
  (default)  chat   one at a time; stops other groups

Peers
  far  far.example  big  with a key

Selectors
  any  warm  chat, embed

Profiles
  cheap  1 pin  Small ones

Loaded at the start: embed
API keys: 1
Requests are remembered in memory"""
    )
    assert "hunter2" not in found


def test_sockets_are_told_by_their_paths() -> None:
    own = "models: {own: {cmd: serve, proxy: 'unix:/run/own.sock'}}"
    peer = "peers: {far: {proxy: 'unix:/run/far.sock', models: [big]}}"
    found = summary(read(f"{own}\n{peer}"))
    assert "\n  own  unix:/run/own.sock  serve" in found
    assert "\n  far  unix:/run/far.sock  big" in found


def test_pins_are_counted() -> None:
    models = "models: {a: {cmd: '${PORT}'}}"
    found = summary(read(f"{models}\nprofiles: {{p: {{pins: {{x: a, y: a}}}}}}"))
    assert "\n  p  2 pins" in found


def test_sets_are_told_with_their_costs() -> None:
    models = "models: {a: {cmd: '${PORT}'}, b: {cmd: '${PORT}'}}"
    text = f"{models}\nmatrix: {{evict_costs: {{a: 5}}, sets: {{s: a | b, t: a & b}}}}"
    assert "Sets\n  s      a | b\n  t      a & b\n  costs  a 5\n" in summary(read(text))


def test_many_models_do_not_fill_more_than_a_screen() -> None:
    models = ", ".join(f"m{number:02}: {{cmd: '${{PORT}}'}}" for number in range(50))
    found = summary(read(f"models: {{{models}}}"))
    assert "  and 30 more\n" in found
    assert "m19 " in found
    assert "m20 " not in found


def test_nothing_is_something_to_tell() -> None:
    assert summary(read("")).startswith("No models\n\nAPI keys: none, all may enter")
