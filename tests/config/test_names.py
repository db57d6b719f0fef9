"""What names mean: aliases, peers, selectors, profiles; and that each means one thing."""

from __future__ import annotations

import pytest

from swapd.config.peers import PeerModel
from swapd.config.selectors import Strategy
from tests.config.reading import complaint, complaints, read

MODELS = """
models:
  a: {cmd: 'x ${PORT}', aliases: [alias-a]}
  b: {cmd: 'x ${PORT}', filters: {setParamsByID: {'b:high': {x: 1}}}}
  c: {cmd: 'x ${PORT}'}
"""
PEERS = """
peers:
  p1: {proxy: 'http://h:1', models: [shared, org/model]}
  p2: {proxy: 'http://h:2', models: [shared, unique, a]}
"""


def test_models_of_peers_have_a_full_name_and_a_bare_one_where_it_is_theirs_alone() -> None:
    config = read(MODELS + PEERS)
    assert config.peer_models == {
        "p1/shared": PeerModel("p1", "shared"),
        "p1/org/model": PeerModel("p1", "org/model"),
        "p2/shared": PeerModel("p2", "shared"),
        "p2/unique": PeerModel("p2", "unique"),
        "p2/a": PeerModel("p2", "a"),
        "org/model": PeerModel("p1", "org/model"),
        "unique": PeerModel("p2", "unique"),
        "a": PeerModel("p2", "a"),
    }


def test_a_full_name_goes_before_a_bare_one() -> None:
    peers = (
        "{p1: {proxy: 'http://h', models: [model]}, p2: {proxy: 'http://i', models: [p1/model]}}"
    )
    found = read(f"peers: {peers}").peer_models
    assert found["p1/model"] == PeerModel("p1", "model")
    assert found["p2/p1/model"] == PeerModel("p2", "p1/model")


def test_a_peer_is_read_whole() -> None:
    config = read(
        """
        peers:
          p:
            proxy: http://192.168.1.23:8080/api
            apiKey: sk-hunter2
            models: [m, m, n]
            filters: {stripParams: "top_p, model", setParams: {model: x, b: {c: [1]}, a: 0.5}}
            timeouts: {connect: 45, responseHeader: 120}
        """
    )
    peer = config.peers["p"]
    assert (peer.id, peer.proxy, peer.api_key) == (
        "p",
        "http://192.168.1.23:8080/api",
        "sk-hunter2",
    )
    assert peer.models == ("m", "n")
    assert peer.filters.strip_params == ("top_p",)
    assert list(peer.filters.set_params.items()) == [("a", 0.5), ("b", {"c": [1]})]
    assert (peer.timeouts.connect, peer.timeouts.response_header) == (45, 120)
    assert (peer.timeouts.keepalive, peer.timeouts.tls_handshake) == (30, 10)
    assert "hunter2" not in repr(config)


def test_a_peer_waits_a_minute_for_an_answer_where_a_model_may_take_its_time() -> None:
    config = read(MODELS + PEERS)
    assert config.peers["p1"].timeouts.response_header == 60
    assert next(iter(config.models.values())).timeouts.response_header == 0


@pytest.mark.parametrize(
    ("peer", "message"),
    [
        ("{}", "1:9: peers.p: a peer needs a proxy, the URL of its server"),
        ("~", "1:9: peers.p: a peer needs a proxy, the URL of its server"),
        ("{proxy: '', models: [m]}", "1:20: peers.p.proxy: must be a URL that begins with"),
        ("{proxy: '://invalid', models: [m]}", "1:20: peers.p.proxy: must be a URL"),
        ("{proxy: '10.0.0.1:80', models: [m]}", "1:20: peers.p.proxy: must be a URL"),
        ("{proxy: 'http://h'}", "1:9: peers.p: a peer needs models, one at least"),
        ("{proxy: 'http://h', models: []}", "1:40: peers.p.models: a peer needs models, one at"),
        ("{proxy: 'http://h', models: ['']}", "1:41: peers.p.models[0]: must not be empty"),
        ("{proxy: 'http://h', models: [m], apiKey: \"a\\tb\"}", "1:53: peers.p.apiKey: must hold"),
        (
            "{proxy: 'http://h', models: [m], filters: {strip_params: a}}",
            "1:55: peers.p.filters.str",
        ),
        (
            "{proxy: 'http://h', models: [m], timeouts: {connect: -1}}",
            "1:65: peers.p.timeouts.conn",
        ),
    ],
)
def test_what_is_no_peer_is_told_by_its_name(peer: str, message: str) -> None:
    assert complaints(f"peers: {{p: {peer}}}")[0].startswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "peers: {a: {proxy: 'http://h', models: [b/c]}, a/b: {proxy: 'http://i', models: [c]}}",
            '1:82: peers.a/b.models[0]: "a/b/c" is a model of the peer "a" already',
        ),
        ("models: {p/m: {cmd: '${PORT}'}}", '2:10: models.p/m: "p/m" is the full name of a model'),
        (
            "models: {m: {cmd: '${PORT}', aliases: [p/m]}}",
            '2:40: models.m.aliases[0]: "p/m" is the full name of a model of a peer',
        ),
        (
            "models: {m: {cmd: '${PORT}', filters: {setParamsByID: {p/m: {}}}}}",
            '2:56: models.m.filters.setParamsByID.p/m: "p/m" is the full name of a model of a peer',
        ),
        (
            "selectors: {p/m: {strategy: pin, targets: [m]}}",
            '2:13: selectors.p/m: "p/m" is the full name of a model of a peer',
        ),
        (
            "profiles: {x: {pins: {p/m: m}}}",
            '2:23: profiles.x.pins.p/m: "p/m" is the full name of a model of a peer',
        ),
    ],
)
def test_full_names_of_peers_are_theirs_alone(text: str, message: str) -> None:
    peers = "" if "peers" in text else "peers: {p: {proxy: 'http://h', models: [m]}}\n"
    assert complaint(peers + text).startswith(message)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("b", "y", 'a.filters.setParamsByID.b: "b" is the ID of another model'),
        ("x", "x", 'b.filters.setParamsByID.x: "x" is an alias of "a" already'),
    ],
)
def test_ids_of_filters_are_aliases_like_all_others(first: str, second: str, message: str) -> None:
    text = "models:\n" + "".join(
        f"  {name}: {{cmd: '${{PORT}}', filters: {{setParamsByID: {{{alias}: {{}}}}}}}}\n"
        for name, alias in [("a", first), ("b", second)]
    )
    assert complaint(text).endswith(f": models.{message}")


def test_an_alias_may_be_said_twice_where_one_comes_from_a_filter() -> None:
    text = "models: {m: {cmd: '${PORT}', aliases: [x], filters: {setParamsByID: {x: {}, m: {}}}}}"
    (found,) = read(text).models.values()
    assert found.aliases == ("x",)


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("s: {targets: [a]}", "s: a selector needs a strategy: pin, warm or spillover"),
        ("s: {strategy: random, targets: [a]}", "s.strategy: must be pin, warm or spillover"),
        ("s: {strategy: pin}", "s: a selector needs targets, one at least"),
        ("s: {strategy: pin, targets: []}", "s.targets: a selector needs targets, one at least"),
        ("s: {strategy: pin, targets: [aa]}", 's.targets[0]: unknown model "aa"'),
        (
            "s: {strategy: pin, targets: [shared]}",
            's.targets[0]: "shared" is a model of several peers: "p1/shared" or "p2/shared"',
        ),
        ("' ': {strategy: pin, targets: [a]}", " : a selector needs a name"),
        ("a: {strategy: pin, targets: [b]}", 'a: "a" is the ID of a model'),
        ("alias-a: {strategy: pin, targets: [b]}", 'alias-a: "alias-a" is an alias of "a" already'),
        ("'b:high': {strategy: pin, targets: [b]}", 'b:high: "b:high" is an alias of "b" already'),
        (
            "s: {strategy: pin, targets: [t]}, t: {strategy: pin, targets: [a]}",
            's.targets[0]: "t" is a selector, name its targets instead',
        ),
        ("s: {strategy: warm, targets: [unique]}", 's.targets[0]: "unique" is a peer\'s model; '),
        (
            "s: {strategy: spillover, targets: [a], settings: {spillover: 0}}",
            "s.settings.spillover: must be at least 1",
        ),
        (
            "s: {strategy: spillover, targets: [a, alias-a]}",
            's.targets[1]: "a" is among the targets already',
        ),
        (
            "s: {strategy: spillover, targets: [unique, p2/unique]}",
            's.targets[1]: "p2/unique" is among the targets already',
        ),
        (
            "s: {strategy: spillover, targets: [a, b]}",
            's.targets: the targets must be able to run together: "(default)" has swap: true',
        ),
    ],
)
def test_what_is_no_selector_is_told(selector: str, message: str) -> None:
    found = complaint(f"selectors: {{{selector}}}{MODELS}{PEERS}")
    assert found.partition("selectors.")[2].startswith(message)


@pytest.mark.parametrize(
    ("targets", "groups", "message"),
    [
        ("[a, b]", "groups: {g: {swap: no, members: [a, b]}}", None),
        ("[a, unique]", "", None),
        ("[unique, p1/shared]", "", None),
        ("[a, b]", "groups: {g: {swap: no, members: [a]}}", 'in one group, and are in "g", "(def'),
        ("[a, b]", "groups: {g: {members: [a, b]}}", 'together: "g" has swap: true'),
        ("[a, b]", "matrix: {sets: {s: a & b}}", None),
        ("[a, b]", "matrix: {sets: {s: a | b}}", "no set of the matrix holds them all"),
        ("[a, b]", "matrix: {sets: {s: a & b & (c | a)}}", None),
    ],
)
def test_targets_that_share_the_load_must_be_able_to_run_together(
    targets: str, groups: str, message: str | None
) -> None:
    text = f"selectors: {{s: {{strategy: spillover, targets: {targets}}}}}\n{groups}{MODELS}{PEERS}"
    if message is None:
        assert read(text).selectors["s"].spillover == 1
    else:
        assert message in complaint(text)


def test_a_selector_is_read_whole() -> None:
    config = read(
        f"""{MODELS}{PEERS}
selectors:
  fast:
    strategy: pin
    targets: [alias-a, b, p2/unique]
    settings: {{spillover: 0}}
    name: ' Fast '
    description: one of them
    unlisted: yes
    metadata: {{a: [1]}}
  unique: {{strategy: warm, targets: [a, a]}}
"""
    )
    fast = config.selectors["fast"]
    assert fast.strategy is Strategy.PIN
    assert fast.targets == ("alias-a", "b", "p2/unique")
    assert fast.resolved == ("a", "b", PeerModel("p2", "unique"))
    assert (fast.name, fast.description, fast.unlisted) == ("Fast", "one of them", True)
    assert fast.metadata == {"a": [1]}
    assert list(config.selectors) == ["fast", "unique"]


def test_pins_lead_to_whatever_has_a_name() -> None:
    pins = "{one: a, two: alias-a, three: 'b:high', four: unique, five: p1/shared, six: '', "
    pins += "seven: ~, a: c, eight: s}"
    config = read(
        f"profiles: {{p: {{description: ' why ', pins: {pins}}}}}\n"
        f"selectors: {{s: {{strategy: pin, targets: [a]}}}}{MODELS}{PEERS}"
    )
    profile = config.profiles["p"]
    assert (profile.name, profile.description) == ("p", "why")
    assert profile.pins == {
        "one": "a",
        "two": "alias-a",
        "three": "b:high",
        "four": "unique",
        "five": "p1/shared",
        "six": None,
        "seven": None,
        "a": "c",
        "eight": "s",
    }


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ("p: {pins: {}}", "p.pins: a profile needs pins, one at least"),
        ("p: ~", "p: a profile needs pins, one at least"),
        ("p: [a, b]", "p: must be a mapping, not a list"),
        ("' ': {pins: {x: a}}", " : a profile needs a name"),
        ("p: {pins: {' ': a}}", "p.pins. : a pin needs a name"),
        ("p: {pins: {x: aa}}", 'p.pins.x: unknown model "aa"'),
        ("p: {pins: {x: ' '}}", 'p.pins.x: unknown model " "'),
        ("p: {pins: {x: a, y: x}}", 'p.pins.y: unknown model "x"'),
    ],
)
def test_what_is_no_profile_is_told(profile: str, message: str) -> None:
    found = complaint(f"profiles: {{{profile}}}{MODELS}")
    assert found.partition("profiles.")[2].startswith(message)


@pytest.mark.parametrize("name", ["unique", "s", "p2/unique"])
def test_only_models_of_ours_are_loaded_at_the_start(name: str) -> None:
    text = f"hooks: {{on_startup: {{preload: [{name}]}}}}\n"
    text += f"selectors: {{s: {{strategy: pin, targets: [a]}}}}{MODELS}{PEERS}"
    assert complaint(text).endswith(f'preload[0]: "{name}" is no model that swapd runs')
