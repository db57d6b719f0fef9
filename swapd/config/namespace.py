"""What names mean: models, their aliases, models of peers, selectors.  Each name one thing."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from swapd.config.peers import PeerModel, full_names
from swapd.config.problems import did_you_mean, quoted
from swapd.config.reporting import Reporter
from swapd.config.schema import Settings
from swapd.ids import ModelId


@dataclass(frozen=True, slots=True)
class Namespace:
    """All names of a configuration."""

    models: Collection[str]
    aliases: Mapping[str, ModelId]
    #: By the full name ``peer/model``, and by the bare name where only one peer has it.
    peer_models: Mapping[str, PeerModel]
    selectors: Collection[str]

    def model(self, name: str) -> ModelId | None:
        """Return the model whose ID is ``name``."""
        return ModelId(name) if name in self.models else None

    def local(self, name: str) -> ModelId | None:
        """Return the model that is called ``name``, by its ID or an alias."""
        return self.model(name) or self.aliases.get(name)

    def target(self, name: str) -> ModelId | PeerModel | None:
        """Return the model, here or of a peer, that is called ``name``."""
        return self.local(name) or self.peer_models.get(name)

    def no_model(self, name: str) -> str:
        """Say that ``name`` is no model's ID, and what to write instead."""
        if name in self.aliases:
            return f"{quoted(name)} is an alias, write {quoted(self.aliases[name])}"
        return f"unknown model {quoted(name)}{did_you_mean(name, self.models)}"

    def unknown(self, name: str) -> str:
        """Say that nothing is called ``name``, and what resembles it, or that several are."""
        several = full_names(name, self.peer_models.values())
        if len(several) > 1:  # or it would mean the one
            names = " or ".join(map(quoted, several))
            return f"{quoted(name)} is a model of several peers: {names}"
        known = [*self.models, *self.aliases, *self.peer_models, *self.selectors]
        return f"unknown model {quoted(name)}{did_you_mean(name, known)}"


def namespace(settings: Settings, reporter: Reporter) -> Namespace:
    """Return what the names in ``settings`` mean; what two things are called is reported."""
    names = Namespace(
        models=settings.models,
        aliases=_aliases(settings, reporter),
        peer_models=_peer_models(settings, reporter),
        selectors=settings.selectors,
    )
    _keep_full_names_free(settings, names, reporter)
    return names


def _aliases(settings: Settings, reporter: Reporter) -> Mapping[str, ModelId]:
    """Return whom each alias means, those that come from setParamsByID after the others."""
    owners: dict[str, ModelId] = {}
    for name, model in settings.models.items():
        for index, alias in enumerate(model.aliases):
            path = ("models", name, "aliases", index)
            if alias == name:
                reporter.warn(path, "this is the model's own ID")
            elif alias in settings.models:
                reporter.report(path, f"{quoted(alias)} is the ID of a model")
            elif alias in owners:
                message = f"{quoted(alias)} is an alias of {quoted(owners[alias])} already"
                reporter.report(path, message)
            else:
                owners[alias] = ModelId(name)
    for name, model in settings.models.items():
        for alias in model.filters.set_params_by_id:
            key = ("models", name, "filters", "setParamsByID", alias)
            if alias != name and alias in settings.models:
                reporter.report_key(key, f"{quoted(alias)} is the ID of another model")
            elif alias != name and owners.setdefault(alias, ModelId(name)) != name:
                message = f"{quoted(alias)} is an alias of {quoted(owners[alias])} already"
                reporter.report_key(key, message)
    return owners


def _peer_models(settings: Settings, reporter: Reporter) -> Mapping[str, PeerModel]:
    full: dict[str, PeerModel] = {}
    bare: dict[str, set[PeerModel]] = {}
    for peer, given in settings.peers.items():
        for index, model in enumerate(given.models):
            found = PeerModel(peer, model)
            if full.setdefault(found.name, found) != found:
                message = f"{quoted(found.name)} is a model of the peer "
                message += quoted(full[found.name].peer) + " already"
                reporter.report(("peers", peer, "models", index), message)
            bare.setdefault(model, set()).add(found)
    alone = {name: found.pop() for name, found in bare.items() if len(found) == 1}
    return {**alone, **full}


def _keep_full_names_free(settings: Settings, names: Namespace, reporter: Reporter) -> None:
    """Report what is called like the full name of a peer's model."""
    full = {found.name: found for found in names.peer_models.values()}
    for path, name in _names_of_ours(settings):
        if name in full:
            message = f"{quoted(name)} is the full name of a model of a peer"
            reporter.report_key(path, message)


def _names_of_ours(settings: Settings) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name, model in settings.models.items():
        yield ("models", name), name
        for index, alias in enumerate(model.aliases):
            yield ("models", name, "aliases", index), alias
        for alias in model.filters.set_params_by_id:
            yield ("models", name, "filters", "setParamsByID", alias), alias
    for name in settings.selectors:
        yield ("selectors", name), name
    for profile, given in settings.profiles.items():
        for pin in given.pins:
            yield ("profiles", profile, "pins", pin), pin
