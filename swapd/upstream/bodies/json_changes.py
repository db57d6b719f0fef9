"""Changes members of a JSON object in its text.  Every byte that is not named stays.

Where a key comes twice the last one counts, so that one is set; both are removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from swapd.upstream.bodies.body import Edit, Whole, with_edits
from swapd.upstream.bodies.json_items import Item, beginning_of, items_of


@dataclass(frozen=True, slots=True)
class Step:
    """One key on the way from an object to what lies deep in it.

    Attributes:
      key: Of a member.
      index: Of an element, should this lead into an array; -1 is the last one, or one behind it.
    """

    key: str
    index: int | None = None


@dataclass(slots=True)
class _Slot:
    """One item as it is to be: as it was, with a new value, or gone."""

    item: Item | None
    key: str
    new: bytes | None = None
    gone: bool = False


class Changing:
    """An object or array with changes, which are made all at once."""

    def __init__(self, text: Whole) -> None:
        """Begin with ``text`` as it is; it must be well formed."""
        self._text = text
        self._start = beginning_of(text)
        self._is_object = text[self._start] == ord("{")
        self._slots = [_Slot(item, "") for item in items_of(text, self._start)]

    def put(self, path: Sequence[Step], value: bytes) -> None:
        """Set what ``path`` leads to, making the way where there is none.

        What stands in the way and is no object, or no array for an index, is replaced.
        """
        slot = self._found(path[0]) or self._added(path[0])
        old = self._value(slot)
        new = _with(old, path[1:], value) if path[1:] else value
        slot.new = None if slot.item and new == old and slot.new is None else new

    def drop(self, path: Sequence[Step]) -> None:
        """Remove what ``path`` leads to, if it leads to anything."""
        for slot in self._all(path[0]):
            if not path[1:]:
                slot.gone = True
            elif (old := self._value(slot))[:1] in (b"{", b"["):
                new = _without(old, path[1:])
                slot.new = slot.new if new == old else new

    def edits(self) -> Iterator[Edit]:
        """Yield what is to be changed, in order."""
        old = [slot for slot in self._slots if slot.item is not None]
        is_first, behind = True, self._start + 1
        for slot in old:
            assert slot.item is not None
            item, is_last = slot.item, slot is old[-1]
            behind = item.end
            if slot.gone:
                yield _removal(item, is_first=is_first, is_last=is_last)
                continue
            is_first = False
            if slot.new is not None:
                yield Edit(item.value, item.end, slot.new)
        added = [self._written(slot) for slot in self._slots if slot.item is None]
        if added:
            yield Edit(behind, behind, (b"" if is_first else b",") + b",".join(added))

    def _all(self, step: Step) -> list[_Slot]:
        there = [slot for slot in self._slots if not slot.gone]
        if self._is_object:
            return [slot for slot in there if _is_called(slot, step.key)]
        if step.index is None or not -1 <= step.index < len(there):
            return []
        return there[step.index :][:1]

    def _found(self, step: Step) -> _Slot | None:
        appends = not self._is_object and step.index == -1
        found = [] if appends else self._all(step)
        return found[-1] if found else None

    def _added(self, step: Step) -> _Slot:
        if not self._is_object:
            there = sum(not slot.gone for slot in self._slots)
            missing = max(step.index or 0, there) - there
            self._slots += [_Slot(None, "", b"null") for _ in range(missing)]
        self._slots.append(_Slot(None, step.key))
        return self._slots[-1]

    def _value(self, slot: _Slot) -> bytes:
        if slot.new is not None:
            return slot.new
        return self._text[slot.item.value : slot.item.end] if slot.item else b""

    def _written(self, slot: _Slot) -> bytes:
        key = msgspec.json.encode(slot.key) + b":" if self._is_object else b""
        return key + (slot.new or b"")


def _is_called(slot: _Slot, key: str) -> bool:
    return slot.item.is_called(key) if slot.item else slot.key == key


def _removal(item: Item, *, is_first: bool, is_last: bool) -> Edit:
    """Return what takes ``item`` out, with one comma; the space before the end stays."""
    if is_first:
        return Edit(item.start, item.end if is_last else item.stop + 1, b"")
    return Edit(item.start - 1, item.end if is_last else item.stop, b"")


def _with(text: bytes, path: Sequence[Step], value: bytes) -> bytes:
    leads_on = text[:1] == b"{" or (text[:1] == b"[" and path[0].index is not None)
    if not leads_on:
        text = b"{}" if path[0].index is None else b"[]"
    changing = Changing(text)
    changing.put(path, value)
    return with_edits(text, changing.edits())


def _without(text: bytes, path: Sequence[Step]) -> bytes:
    changing = Changing(text)
    changing.drop(path)
    return with_edits(text, changing.edits())
