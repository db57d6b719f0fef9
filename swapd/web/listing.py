"""How models are listed: as OpenAI's API does it, with what llama-swap adds.  No I/O.

Each name that a request may use is one entry; who has names to list makes entries of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from pydantic import JsonValue

from swapd.config.models import Capabilities, Modality, Model
from swapd.ids import ModelId

#: What an entry says of a model's capabilities.  Where they are configured, metadata of the same
#: name would contradict it.
_SAID_BY_CAPABILITIES = frozenset(
    {"architecture", "capabilities", "supported_parameters", "context_length"}
)

TEXT, AUDIO, IMAGE = Modality.TEXT, Modality.AUDIO, Modality.IMAGE


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in the list of models.

    Attributes:
      id: The name.
      about: What kind of name it is, for ``meta.llamaswap``; goes before metadata.
      name: For people.
      description: For people.
      capabilities: What it can do.
      metadata: What the owner says of it.
      loaded: Whether a process runs for it.
    """

    id: str
    about: Mapping[str, object]
    name: str = ""
    description: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)
    metadata: Mapping[str, JsonValue] = field(default_factory=dict)
    loaded: bool = False


def models(
    listed: Iterable[Model], *, loaded: Callable[[ModelId], bool], with_aliases: bool
) -> Iterator[Entry]:
    """Yield the entries of swapd's own models, and of their aliases if they are asked for."""
    for model in listed:
        about: dict[str, object] = {"type": "model"}
        if model.aliases:
            about["aliases"] = list(model.aliases)
        yield _entry(model, model.id, about, loaded=loaded(model.id))
        for alias in model.aliases if with_aliases else ():
            yield _entry(
                model, alias, {"type": "alias", "modelID": model.id}, loaded=loaded(model.id)
            )


def _entry(model: Model, name: str, about: Mapping[str, object], *, loaded: bool) -> Entry:
    return Entry(
        name, about, model.name, model.description, model.capabilities, model.metadata, loaded
    )


def listing(entries: Iterable[Entry], *, now: int) -> dict[str, object]:
    """Return the whole list, sorted by name; ``now`` is in Unix seconds."""
    data = [shown(entry, now=now) for entry in sorted(entries, key=lambda entry: entry.id)]
    return {"data": data, "object": "list"}


def shown(entry: Entry, *, now: int) -> dict[str, object]:
    """Return one entry; ``now`` is in Unix seconds."""
    capabilities = entry.capabilities
    said = {
        "name": entry.name.strip(),
        "description": entry.description.strip(),
        "architecture": _architecture(capabilities),
        "capabilities": dict.fromkeys(abilities(capabilities), True),
        "supported_parameters": ["tools", "tool_choice"] if capabilities.tools else [],
        "context_length": capabilities.context,
    }
    return {
        "id": entry.id,
        "object": "model",
        "created": now,
        "owned_by": "swapd",
        **{key: value for key, value in said.items() if value},
        "meta": _meta(entry),
        "status": {"value": "loaded" if entry.loaded else "unloaded"},
    }


def _architecture(capabilities: Capabilities) -> dict[str, object]:
    taken, given = list(capabilities.in_), list(capabilities.out)
    modality = "+".join(taken) + "->" + "+".join(given) if taken and given else ""
    said = {"input_modalities": taken, "output_modalities": given, "modality": modality}
    return {key: value for key, value in said.items() if value}


def abilities(capabilities: Capabilities) -> Iterator[str]:
    """Yield what a model can do, in the words of the list."""
    taken, given = {*capabilities.in_}, {*capabilities.out}
    can: dict[str, bool] = {
        "vision": IMAGE in taken,
        "audio_transcriptions": _turns(AUDIO, taken, TEXT, given),
        "audio_speech": _turns(TEXT, taken, AUDIO, given),
        "image_generation": _turns(TEXT, taken, IMAGE, given),
        "image_to_image": _turns(IMAGE, taken, IMAGE, given),
        "function_calling": capabilities.tools,
        "reranker": capabilities.reranker,
    }
    return (ability for ability, has in can.items() if has)


def _turns(one: Modality, taken: Set[Modality], other: Modality, given: Set[Modality]) -> bool:
    return one in taken and other in given


def _meta(entry: Entry) -> dict[str, object]:
    hidden = frozenset[str]() if entry.capabilities.is_empty else _SAID_BY_CAPABILITIES
    metadata = {key: value for key, value in entry.metadata.items() if key not in hidden}
    meta: dict[str, object] = {"llamaswap": {**metadata, **entry.about}}
    if entry.capabilities.context:
        meta["n_ctx"] = entry.capabilities.context
    return meta
