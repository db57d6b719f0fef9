"""How a model's configuration becomes a server that is run."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from swapd.config.load import parse
from swapd.config.schema import Config
from swapd.ids import ModelId
from swapd.process.actor import RunServer
from swapd.process.child import ServerSpec, Stopping
from swapd.process.guardian import Guardian
from swapd.process.ports import Address
from swapd.servers import Servers, local_address

M = ModelId("m")


def config(**settings: object) -> Config:
    lines = "".join(f"    {key}: {value}\n" for key, value in settings.items())
    text = f"models:\n  m:\n    cmd: serve --port ${{PORT}}\n{lines}"
    return parse(text, "c.yaml", environ={})


def spec_of(server: RunServer) -> ServerSpec:
    assert isinstance(server, partial)
    spec = server.args[0]
    assert isinstance(spec, ServerSpec)
    return spec


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost:5800", ("localhost", 5800)),
        ("http://127.0.0.1:5800/base?k=v", ("127.0.0.1", 5800)),
        ("http://127.1.2.3", ("127.1.2.3", 80)),
        ("https://[::1]", ("::1", 443)),
        ("unix:/run/a%20b.sock", "/run/a b.sock"),
        ("http://192.168.1.5:5800", None),
        ("http://box.example:5800", None),
        ("https://0.0.0.0:5800", None),
    ],
)
def test_only_on_this_machine_can_a_port_be_found_taken(url: str, address: Address | None) -> None:
    assert local_address(url) == address


async def test_the_environment_is_swapds_own_with_what_the_model_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INHERITED", "1")
    monkeypatch.setenv("CHANGED", "1")
    servers = Servers(Guardian(), hurry=trio.Event())
    given = config(env="[CHANGED=2, NEW=a=b, NEW=c=d]")
    env = spec_of(servers.of(given.models)[M]).env
    assert (env["INHERITED"], env["CHANGED"], env["NEW"]) == ("1", "2", "c=d")


async def test_how_it_is_stopped_and_watched_is_newest_as_long_as_it_is_the_same_process() -> None:
    servers = Servers(Guardian(), hurry=trio.Event())
    spec = spec_of(servers.of(config(unloadTimeout=1).models)[M])
    before = spec.liveness()
    assert (spec.stopping(), before.every) == (Stopping((), 1), 0.0)

    newer = config(cmdStop="stop ${PID}", unloadTimeout=2, liveness="{every: 5}")
    servers.of(newer.models)
    assert spec.stopping() == Stopping(("stop", "${PID}"), 2)
    assert spec.liveness().every == 5
    assert before.outdated.is_set()

    servers.of(config(unloadTimeout=3, env="[A=b]").models)  # it is another process
    assert spec.stopping() == Stopping((), 1)
    assert spec.liveness().every == 0


async def test_who_has_no_health_check_is_asked_nothing() -> None:
    servers = Servers(Guardian(), hurry=trio.Event())
    asked, unasked = config(), config(checkEndpoint="none")
    probes = [servers.of(given.models)[M] for given in (asked, unasked)]
    assert [isinstance(each, partial) and each.keywords["probe"] is None for each in probes] == [
        False,
        True,
    ]
