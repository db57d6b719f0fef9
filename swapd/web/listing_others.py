"""Entries of names that are no model of swapd's own: peers' models, selectors, a profile's pins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from swapd.config.peers import PeerModel
from swapd.config.selectors import Selector, Strategy
from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.policy.naming import Names
from swapd.web.listing import Entry

_LOADED = (ModelState.STARTING, ModelState.READY)


def peers(models: Iterable[PeerModel]) -> Iterator[Entry]:
    """Yield an entry for each of the peers' models, under its full name."""
    for model in {model.name: model for model in models}.values():
        about = {"type": "peer", "peerID": model.peer}
        yield Entry(model.name, about, name=f"{model.peer}: {model.model}")


def selectors(
    all_of: Iterable[Selector], state: Callable[[ModelId], ModelState]
) -> Iterator[Entry]:
    """Yield an entry for each selector; one is loaded as its targets are."""
    for selector in all_of:
        about: dict[str, object] = {
            "type": "selector",
            "strategy": selector.strategy,
            "targets": list(selector.targets),
        }
        if selector.strategy is Strategy.SPILLOVER:
            about["spillover"] = selector.spillover
        yield Entry(
            selector.id,
            about,
            selector.name,
            selector.description,
            metadata=selector.metadata,
            loaded=any(state(model) in _LOADED for model in _candidates(selector)),
        )


def _candidates(selector: Selector) -> Iterator[ModelId]:
    targets = selector.resolved[:1] if selector.strategy is Strategy.PIN else selector.resolved
    return (target for target in targets if not isinstance(target, PeerModel))


def pins(pinned: Mapping[str, str | None], names: Names) -> Iterator[Entry]:
    """Yield an entry for each name that only the active profile gives a meaning."""
    for name, target in pinned.items():
        if target is not None and name not in names:
            yield Entry(name, {"type": "profile"})
