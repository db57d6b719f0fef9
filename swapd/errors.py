"""What goes wrong in words that a person reads.  HTTP statuses live in web/errors.py."""

# SwapdError
# ├── InvalidConfig          shown by the command line: every problem, exit 1
# ├── InvalidTrace           shown by the command line: every problem, exit 1
# ├── CannotStart            shown by the command line: the reason, exit 1
# ├── CannotReach            shown by the client commands: no swapd answers there, exit 1
# ├── Refused                shown by the client commands: what a swapd says, exit 1
# └── RequestError           shown to a client, as one envelope or event
#     ├── MalformedRequest   the body cannot be understood
#     ├── BodyTooLarge       the body is larger than swapd takes
#     ├── BodyNotKept        the body is too large for memory, and the disk does not take it
#     ├── NoModelNamed       the request says no model
#     ├── UnknownModel       the model is in no configuration
#     ├── UnknownProfile     the profile is in no configuration
#     ├── UnknownCapture     nothing is kept of the request that was asked for
#     ├── HardwareUnknown    what this machine is cannot be found out
#     ├── NotLoaded          the model is not loaded, and such a request does not load it
#     ├── RequestCancelled   somebody who may has cancelled the request
#     ├── UnknownRequest     no request of that number is under way
#     ├── TryLater           the same request may succeed later
#     │   ├── StoreUnreadable    the requests that are remembered cannot be read
#     │   ├── TooManyRequests    the model has as many requests as it may have at once
#     │   └── ModelUnavailable   not startable, unloaded, or swapd is ending
#     │       └── ModelTooSlow       not ready in time
#     └── UpstreamFailed     the model's server broke the exchange
#         ├── UpstreamTooSlow        it did not begin to answer in time
#         └── UpstreamUnreachable    it cannot have read the whole request

from __future__ import annotations

from collections.abc import Sequence

#: Between why a process failed and the lines that it printed last.
LAST_WORDS = "; its last words:\n"


def first_line(words: str) -> str:
    """Return the first line of ``words``, without what only announces the next."""
    line, _, rest = words.strip().partition("\n")
    return line.removesuffix(LAST_WORDS.rstrip()).rstrip(":") if rest else line


class SwapdError(Exception):
    """Something that a person must read; its text is meant for them."""


class InvalidConfig(SwapdError):
    """The configuration has problems; nothing was started."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep every problem, each as ``file:line:column: path: message``."""
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class InvalidTrace(SwapdError):
    """A trace of requests cannot be read, or has problems; nothing was simulated."""

    def __init__(self, problems: Sequence[str]) -> None:
        """Keep the problems, each as ``file:line: field: message``."""
        super().__init__("\n".join(problems))


class CannotStart(SwapdError):
    """swapd itself cannot begin, or cannot go on."""


class CannotReach(SwapdError):
    """No swapd answers where a client command looks for one, or it is gone."""


class Refused(SwapdError):
    """A swapd says no to a client command; the text is its own."""


class RequestError(SwapdError):
    """One request fails; its client is told why."""


class MalformedRequest(RequestError):
    """The request cannot be understood; sending it again would not help."""


class BodyTooLarge(RequestError):
    """The request's body is larger than swapd takes."""


class BodyNotKept(RequestError):
    """The request's body is too large to be held in memory, and the disk does not take it."""


class NoModelNamed(RequestError):
    """A model route was asked without a model."""


class UnknownModel(RequestError):
    """The model that was asked for is not configured."""


class UnknownProfile(RequestError):
    """The profile that was to be active is not configured."""


class UnknownCapture(RequestError):
    """Nothing is kept of the request that was asked for."""


class HardwareUnknown(RequestError):
    """What this machine is cannot be found out; the log says why."""


class NotLoaded(RequestError):
    """The model is not loaded, and a request of this kind does not load it."""


class RequestCancelled(RequestError):
    """Somebody who may has cancelled the request; to send it again is not what they want."""


class UnknownRequest(RequestError):
    """No request of the number that was given is under way."""


class TryLater(RequestError):
    """The same request may succeed later."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        """Keep what to say, and after how many seconds trying again makes sense."""
        super().__init__(message)
        self.retry_after = retry_after


class StoreUnreadable(TryLater):
    """The requests that are remembered cannot be read at the moment."""


class TooManyRequests(TryLater):
    """The model has as many requests as its concurrencyLimit allows."""


class ModelUnavailable(TryLater):
    """The model cannot serve now: its start failed, it was unloaded, or swapd is ending."""


class ModelTooSlow(ModelUnavailable):
    """The model did not get ready in the time that a start may take."""


class UpstreamFailed(RequestError):
    """The model's server broke the exchange before its end."""


class UpstreamTooSlow(UpstreamFailed):
    """The model's server did not begin to answer within the time that it has."""


class UpstreamUnreachable(UpstreamFailed):
    """The model's server cannot have read the whole request: it may be asked again."""
