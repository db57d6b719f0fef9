"""Makes one text of the metrics of several servers, each series with the name of its model.

The lines stay as they are but for one label more: the parser of prometheus-client would give
counters whose names do not end in ``_total`` another name, and write numbers anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*+"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*+\s*+=\s*+"(?:[^"\\]++|\\.)*+"'
_NUMBER = r"[+-]?(?:(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?|[Ii]nf|[Nn]a[Nn])"
# What matches once is never tried in another way: a long line of nonsense costs its length.
_SERIES = re.compile(
    rf"({_NAME})(?:\s*+\{{\s*+((?:{_LABEL}\s*+(?:,\s*+|(?=\}})))*+)\}}\s*+|\s++)({_NUMBER}(?:\s++-?[0-9]++)?+)"
)
_ABOUT = re.compile(rf"#\s++(HELP|TYPE)\s++({_NAME})(?:\s++(.*))?")
_LABELS = re.compile(_LABEL)

_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count", ""), "summary": ("_sum", "_count", "")}
_TYPES = frozenset({"counter", "gauge", "histogram", "summary", "untyped"})


#: Why a line is not passed on.
LEFT_OUT = "(no series, shown twice, or of another type than another model's)"


@dataclass(frozen=True, slots=True)
class Shown:
    """What one model's server shows; None if it shows nothing, and ``why``."""

    model: str
    text: str | None
    why: str = ""


@dataclass(slots=True)
class Family:
    """Series of one name, with what the first server to show them said of it."""

    about: str | None = None
    type: str | None = None
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Merged:
    """The families of all servers, in the order of their first appearance."""

    families: dict[str, Family] = field(default_factory=dict)

    def add(self, model: str, text: str) -> int:
        """Take over ``text``, what the server of ``model`` shows; return how many lines not.

        Left out is what is no series, what came before, and what another server shows as
        another type.
        """
        reading = _Reading(self.families, f'model="{escaped(model)}"')
        for line in text.split("\n"):  # and nowhere else: labels may hold any other character
            reading.read(line.strip())
        return reading.left_out

    def text(self) -> Iterator[str]:
        """Yield every line."""
        for name, family in self.families.items():
            if not family.lines:
                continue
            if family.about is not None:
                yield f"# HELP {name} {family.about}"
            yield f"# TYPE {name} {family.type or 'untyped'}"
            yield from family.lines


class _Reading:
    """The text of one server, as far as it was read."""

    def __init__(self, families: dict[str, Family], label: str) -> None:
        self.left_out = 0
        self._families = families
        self._label = label
        self._seen: set[tuple[str, str]] = set()
        self._types: dict[str, str] = {}

    def read(self, line: str) -> None:
        if line.startswith("#"):
            if about := _ABOUT.fullmatch(line):
                self._describe(about[1], about[2], about[3] or "")
        elif line and not self._take(line):
            self.left_out += 1

    def _describe(self, what: str, name: str, text: str) -> None:
        family = self._families.setdefault(name, Family())
        if what == "HELP":
            if family.about is None:
                family.about = text
        elif name not in self._types:
            self._types[name] = text if text in _TYPES else "untyped"
            if family.type is None and not family.lines:
                family.type = self._types[name]

    def _take(self, line: str) -> bool:
        series = _SERIES.fullmatch(line)
        if series is None:
            return False
        name, labels, value = series[1], (series[2] or "").rstrip(" \t,"), series[3]
        family_name = self._family_of(name)
        family = self._families.setdefault(family_name, Family())
        says = self._types.get(family_name, "untyped")
        if says != (family.type or "untyped") or (name, labels) in self._seen:
            return False
        each = _LABELS.findall(labels)
        if len({_name(label) for label in each}) != len(each):
            return False
        self._seen.add((name, labels))
        if "model" in labels:  # its own label of that name is another, as in Prometheus
            labels = ",".join(map(_renamed, each))
        both = f"{self._label},{labels}" if labels else self._label
        family.lines.append(f"{name}{{{both}}} {value}")
        return True

    def _family_of(self, name: str) -> str:
        """Return the histogram or summary that ``name`` is a part of, or itself."""
        for suffix in ("_bucket", "_sum", "_count"):
            base = name.removesuffix(suffix)
            if base != name and suffix in _SUFFIXES.get(self._types.get(base, ""), ()):
                return base
        return name


def _name(label: str) -> str:
    return label.partition("=")[0].rstrip()


def _renamed(label: str) -> str:
    is_taken = _name(label) == "model" or _name(label).endswith("exported_model")
    return f"exported_{label}" if is_taken else label


def escaped(value: str) -> str:
    """Return ``value`` as it stands in a label, or in a comment."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def merged(all_shown: Iterable[Shown]) -> str:
    """Return one text of what the models' servers show."""
    whole, comments = Merged(), list[str]()
    up = [
        "# HELP swapd_upstream_up Whether the model's server shows its metrics.",
        "# TYPE swapd_upstream_up gauge",
    ]
    for shown in all_shown:
        up.append(
            f'swapd_upstream_up{{model="{escaped(shown.model)}"}} {int(shown.text is not None)}'
        )
        left_out = whole.add(shown.model, shown.text or "")
        if left_out:
            lines = "1 line" if left_out == 1 else f"{left_out} lines"
            comments.append(f"{shown.model}: left out {lines} {LEFT_OUT}")
        if shown.why:
            comments.append(f"{shown.model}: {shown.why}")
    told = (f"# {escaped(comment)}" for comment in comments)
    return "\n".join([*told, *up, *whole.text(), ""])
