"""The states of all models, as llama-swap tells them in its event stream."""

from __future__ import annotations

from collections.abc import Iterator

from swapd.config.models import Model
from swapd.config.peers import PeerModel
from swapd.policy.life import ModelState
from swapd.web.listing import abilities
from swapd.web.services import Services


def model_status(services: Services) -> list[dict[str, object]]:
    """Return swapd's own models, also what a reload took out while it ran, then those of peers."""
    models = {model.id: model for model in (*services.alive(), *services.models())}
    own = (_own(models[name], services.state(name)) for name in sorted(models))
    return [*own, *_of_peers(services)]


def _own(model: Model, state: ModelState) -> dict[str, object]:
    shown = _row(model.id, model.name, model.description, state=state, unlisted=model.unlisted)
    if model.aliases:
        shown["aliases"] = list(model.aliases)
    if can := dict.fromkeys(abilities(model.capabilities), True):
        shown["capabilities"] = can
    if model.capabilities.context:
        shown["context_length"] = model.capabilities.context
    return shown


def _of_peers(services: Services) -> Iterator[dict[str, object]]:
    known = {model.name: model for model in services.config.peer_models.values()}
    for name in sorted(known):
        yield _of_peer(known[name])


def _of_peer(model: PeerModel) -> dict[str, object]:
    return _row(model.name, f"{model.peer}: {model.model}", peer=model.peer)


def _row(
    name: str,
    title: str,
    description: str = "",
    *,
    state: str = "",
    unlisted: bool = False,
    peer: str = "",
) -> dict[str, object]:
    return {
        "id": name,
        "name": title,
        "description": description,
        "state": state,
        "unlisted": unlisted,
        "peerID": peer,
    }
