"""What to change in a request before a server sees it.  Changes nothing itself."""

from __future__ import annotations

from typing import NamedTuple

from swapd.config.filters import Filters


class Changes(NamedTuple):
    """All changes to one request.

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
    filters: Filters = Filters()
    asked: str = ""

    def without_model(self) -> Changes:
        """Return it so that the name that the client used stays, but for one in a body."""
        return Changes("", self.model_in_body, self.filters, self.asked) if self.model else self
