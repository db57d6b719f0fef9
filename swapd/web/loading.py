"""Which streams tell that they wait for their model, and what there is to tell.

Rule 1: what is known of the queue is found out once for all who want to know it at about the same
    time: to put a long queue in order for each who stands in it would take all there is.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial

import trio
from hypercorn.typing import HTTPScope

from swapd.config.peers import PeerModel
from swapd.config.selectors import Target
from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.policy.naming import full_name
from swapd.upstream.bodies.request import ModelRequest
from swapd.views import Waiting
from swapd.web.client import Client
from swapd.web.manner import Api, Manner
from swapd.web.remarks import Asides, ChatRemarks, Remarks
from swapd.web.services import Services
from swapd.web.talking import Account, TalkingStream, Waits, Way
from swapd.web.wait_report import TIME_EVERY, Report, Situation

#: The routes on which ``stream`` asks for an event stream, with every server.  What it means for
#: sounds and images differs from server to server.
_EVENTS = re.compile(
    r"(/v1?/(chat/completions|completions|responses|messages)|/completion|/infill)\Z"
)

_CHAT = re.compile(r"/v1?/chat/completions\Z")

#: Seconds for which what was found out is news.
_FRESH = 0.1


class Loading:
    """Makes those streams tell of their wait that shall."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._situations = Situations(services)

    def way(
        self,
        scope: HTTPScope,
        client: Client,
        asked: ModelRequest,
        target: Target,
        waits: Waits,
    ) -> AbstractAsyncContextManager[Way]:
        """Return where the answer to a request goes, for as long as it is served.

        Args:
          scope: The request.
          client: Who asks.
          asked: The request, as it names its model.
          target: Who will serve it.
          waits: Who is told when the wait for that is over, and when another begins.
        """
        if not asked.stream or not _EVENTS.match(scope["path"]):
            return nullcontext(Way(client, waits))
        keep_alive, manner = self._services.config.server.keep_alive, Manner.of(scope)
        speak = partial(_remarks, scope["path"], manner.api, asked.model)
        account = self._account(target, speak)
        if not keep_alive and account is None:
            return nullcontext(Way(client, waits))
        stream = TalkingStream(
            client,
            manner,
            self._services.prompter,
            model=full_name(target),
            waits=waits,
            keep_alive=keep_alive,
            account=account,
        )
        return stream.served()

    def _account(self, target: Target, speak: Callable[[], Remarks | None]) -> Account | None:
        """Return what is told of the wait for ``target``, if anything is."""
        config = self._services.config
        if isinstance(target, PeerModel):
            return None
        model = config.models.get(target)  # a reload may just have taken it out
        if model is None or not model.send_loading_state or (remarks := speak()) is None:
            return None
        every = min(TIME_EVERY, config.server.keep_alive or TIME_EVERY)
        return Account(Report(target, every=every), remarks, partial(self._situations.of, target))


def _remarks(path: str, api: Api, model: str) -> Remarks | None:
    """Return how to speak on a route, as ``model``; None where the API has no way to."""
    if api is not Api.OPENAI:
        return Asides(api)
    if not _CHAT.match(path):
        return None
    created = int(time.time())  # noqa: TID251  shown in JSON
    return ChatRemarks(model, id_=f"chatcmpl-{secrets.token_hex(12)}", created=created)


class Situations:
    """What is known of those who wait (rule 1)."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._until = -1.0
        self._places: Mapping[ModelId, Waiting] = {}
        self._doomed: Mapping[ModelId, ModelId] = {}
        self._progress: dict[ModelId, str | None] = {}

    def of(self, model: ModelId) -> Situation:
        """Return what is known of those who wait for ``model``."""
        if trio.current_time() > self._until:
            self._look()
        state = self._services.state(model)
        place = self._places.get(model)
        if place is None:
            return Situation(state)
        return Situation(
            state,
            position=place.position,
            waits_for=tuple((other, self._services.state(other)) for other in place.waits_for),
            overdue=place.overdue,
            yields_to=self._doomed.get(model),
            progress=self._progress_of(model) if state is ModelState.STARTING else None,
        )

    def _look(self) -> None:
        supervisor = self._services.supervisor
        self._until = trio.current_time() + _FRESH
        # Who wait for one model are served together: the first one's place is that of all.
        self._places = {place.model: place for place in reversed(supervisor.queue())}
        self._doomed = supervisor.doomed()
        self._progress = {}

    def _progress_of(self, model: ModelId) -> str | None:
        """Return how far a start is; only its own log of that time can tell.

        Later on there may be words of prompts in it.
        """
        if model not in self._progress:
            self._progress[model] = self._services.logs.of(model).progress()
        return self._progress[model]
