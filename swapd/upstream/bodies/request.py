"""A request to a model: which one it names and where, and the same request with changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs

from swapd.config.filters import Filters
from swapd.errors import NoModelNamed
from swapd.upstream.bodies.body import Body
from swapd.upstream.headers import Header
from swapd.upstream.rewrite import model_of, with_model


@dataclass(frozen=True, slots=True)
class Changes:
    """What to change in a request before a server sees it.

    Attributes:
      model: What takes the place of the name that the client used, wherever it is named; empty:
        it stays.
      model_in_body: What takes its place in a body, whatever ``model`` says; empty: nothing does.
      filters: What to remove and to set; only JSON has such things.
      asked: The name that the client used, or what a profile or a selector has made of it: the
        one by which ``filters`` may set something of its own.
    """

    model: str = ""
    model_in_body: str = ""
    filters: Filters = field(default_factory=Filters)
    asked: str = ""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """A request that names a model.

    Attributes:
      model: As the client named it.
      stream: Whether it asks for its answer as a stream.
      query: As it goes on, without the question mark.
      headers: As they go on, but for those of one hop.
      body: As it goes on.
      is_named_in_body: Whether it is the body that names the model.
    """

    model: str
    stream: bool
    query: bytes
    headers: Sequence[Header]
    body: Body
    is_named_in_body: bool = False

    async def changed(self, changes: Changes) -> ModelRequest:
        """Return it with ``changes`` made, and every byte untouched that they do not touch.

        Raises:
          MalformedRequest: A body would have to be changed that is of no kind that we know.
        """
        name = changes.model_in_body or changes.model
        if not name or not self.is_named_in_body:
            return self
        return replace(self, body=Body(with_model(self.body.held or b"", name)))


async def read_request(
    method: str, query: bytes, headers: Sequence[Header], body: Body, *, max_bytes: int
) -> ModelRequest:
    """Find out which model a request names, and whether it asks for a stream.

    Args:
      method: In capitals.
      query: Without the question mark.
      headers: As the client sent them.
      body: As the client sent it, encoded if it is.
      max_bytes: What a body may have once it is decoded; 0 is no limit of its own.

    Raises:
      MalformedRequest: The body is not what its content type says, or cannot be decoded.
      BodyTooLarge: It becomes too large when it is decoded.
      NoModelNamed: There is no model, or an empty one.
    """
    if method in ("GET", "HEAD"):
        names = parse_qs(query.decode("latin-1")).get("model", [])
        if not names:
            raise NoModelNamed("the request names no model: add ?model=NAME")
        return ModelRequest(names[0], stream=False, query=query, headers=headers, body=body)
    model = model_of(body.held or b"")
    return ModelRequest(model, False, query, headers, body, is_named_in_body=True)
