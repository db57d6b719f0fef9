"""What a server says of tokens, in its own words, and what that comes to.  No I/O.

Rule 1: what is unknown stays None; what is no number, or none that can be, is unknown.
Rule 2: of a stream's several words the later count, but for a zero that follows a number: some
    servers say how many tokens the prompt had at the beginning, and how many were generated at
    the end.
Rule 3: llama.cpp's ``timings`` go before ``usage``, and vLLM's ``metrics`` add to both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from swapd.telemetry.usage.usage import UNKNOWN, Usage

#: The largest number that is believed.
_MOST = 2**53

_PROMPT = ("prompt_tokens", "input_tokens")
_GENERATED = ("completion_tokens", "output_tokens")
_DETAILS = ("input_tokens_details", "prompt_tokens_details")

Said = Mapping[str, object]
_Number = TypeVar("_Number", int, float)


_ABSENT = msgspec.Raw()


class _Text(msgspec.Struct, gc=False):
    """The members of an answer, or of one event, that matter here."""

    usage: Any = None
    timings: Any = None
    metrics: Any = None
    error: Any = None
    response: msgspec.Raw = _ABSENT
    message: msgspec.Raw = _ABSENT


_decode = msgspec.json.Decoder(_Text).decode


class Account:
    """What was said in one answer so far."""

    def __init__(self) -> None:
        self._prompt: int | None = None
        self._cached: int | None = None
        self._generated: int | None = None
        self._timings: Said = {}
        self._metrics: Said = {}
        #: What the server said has gone wrong.
        self.error: str | None = None

    def take_text(self, text: bytes) -> bool:
        """Note what a whole JSON object says; return False if it is none."""
        try:
            self._take_all(said := _decode(text))
            for nest in (said.response, said.message):
                if nest is not _ABSENT and bytes(memoryview(nest)[:1]) == b"{":
                    self._take_all(_decode(nest))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return True

    def take_member(self, name: bytes, text: bytes) -> None:
        """Note what one member of an answer says."""
        self.take_text(b'{"%s":%s}' % (name, text))

    def _take_all(self, said: _Text) -> None:
        if isinstance(said.usage, dict):
            self._take_usage(said.usage)
        if isinstance(said.timings, dict):
            self._timings = said.timings
        if isinstance(said.metrics, dict):
            self._metrics = said.metrics
        if said.error is not None:
            self.error = words_of(said.error) or self.error

    def _take_usage(self, usage: Said) -> None:
        self._prompt = _newer(self._prompt, _first_tokens(usage, _PROMPT))
        self._generated = _newer(self._generated, _first_tokens(usage, _GENERATED))
        cached = _tokens(usage.get("cache_read_input_tokens"))
        for name in _DETAILS:
            details = usage.get(name)
            if cached is None and isinstance(details, dict):
                cached = _tokens(details.get("cached_tokens"))
        self._cached = self._cached if cached is None else cached

    def usage(self) -> Usage:
        """Return what all that comes to (rule 3)."""
        if not self._timings and not self._metrics:
            if self._prompt is None and self._cached is None and self._generated is None:
                return UNKNOWN
            return Usage(prompt=self._prompt, cached=self._cached, generated=self._generated)
        timings = self._timings
        drafted, accepted = _both(timings, "draft_n", "draft_n_accepted")
        speculative = self._metrics.get("speculative_decoding")
        if isinstance(speculative, dict):
            told = _both(speculative, "num_draft_tokens", "num_accepted_draft_tokens")
            drafted, accepted = (drafted, accepted) if told == (None, None) else told
        prompt = _or(_tokens(timings.get("prompt_n")), self._prompt)
        cached = _or(_tokens(timings.get("cache_n")), self._cached)
        took = [_number(timings.get(name)) for name in ("prompt_ms", "predicted_ms")]
        return Usage(
            prompt=prompt,
            cached=cached,
            generated=_or(_tokens(timings.get("predicted_n")), self._generated),
            drafted=drafted,
            accepted=accepted,
            prompt_per_second=_or(
                self._speed_to_first(prompt, cached), _number(timings.get("prompt_per_second"))
            ),
            generated_per_second=_or(
                _per(1000.0, _number(self._metrics.get("mean_itl_ms"))),
                _number(timings.get("predicted_per_second")),
            ),
            served_ms=None if took == [None, None] else sum(part or 0.0 for part in took),
        )

    def _speed_to_first(self, prompt: int | None, cached: int | None) -> float | None:
        """Return at which speed a prompt was read, by the time until the first token."""
        first = _number(self._metrics.get("time_to_first_token_ms"))
        if prompt is None:
            return None
        return _per(1000.0 * max(0, prompt - (cached or 0)), first)


def words_of(error: object) -> str | None:
    """Return what ``error`` says in words: itself, or its message."""
    if isinstance(error, dict):
        error = error.get("message")
    return (error.strip() or None) if isinstance(error, str) else None


def _newer(old: int | None, new: int | None) -> int | None:
    return new if new or old is None else old


def _or(first: _Number | None, second: _Number | None) -> _Number | None:
    return second if first is None else first


def _first_tokens(usage: Said, names: tuple[str, ...]) -> int | None:
    for name in names:
        if (tokens := _tokens(usage.get(name))) is not None:
            return tokens
    return None


def _both(said: Said, first: str, second: str) -> tuple[int | None, int | None]:
    """Return both numbers of tokens, which say nothing alone."""
    one, other = _tokens(said.get(first)), _tokens(said.get(second))
    return (None, None) if one is None or other is None else (one, other)


def _tokens(given: object) -> int | None:
    if type(given) is int and 0 <= given <= _MOST:  # as servers say it
        return given
    number = _number(given)
    return None if number is None else int(number)


def _number(given: object) -> float | None:
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    return given if 0 <= given <= _MOST else None


def _per(amount: float, time: float | None) -> float | None:
    return amount / time if time else None
