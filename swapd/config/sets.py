"""Turns the settings of a matrix into the matrix: names resolved, sets parsed and put in order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from swapd.config.matrix import Expression, Leaf, Matrix, ModelSet, Ref, references
from swapd.config.namespace import Namespace
from swapd.config.problems import did_you_mean, quoted
from swapd.config.reporting import Reporter
from swapd.config.routing import MatrixSettings
from swapd.config.set_language import BadSet, parse_set, pointed_out
from swapd.config.tree import KeyPath
from swapd.ids import ModelId

_VAR = re.compile(r"[a-zA-Z0-9.-]{1,32}")


def matrix_of(
    given: MatrixSettings, path: KeyPath, names: Namespace, reporter: Reporter
) -> Matrix | None:
    """Return the matrix that stands at ``path``, or None when a set of it is no set.

    Args:
        given: The settings.
        path: Where they stand.
        names: Which models there are.
        reporter: Is told what is wrong.
    """
    return _Sets(given, path, names, reporter).matrix()


class _Sets:
    """The sets of one matrix while they are read."""

    def __init__(
        self, given: MatrixSettings, path: KeyPath, names: Namespace, reporter: Reporter
    ) -> None:
        self._given = given
        self._path = path
        self._names = names
        self._reporter = reporter
        self._is_broken = False
        self._models: dict[str, ModelId | None] = {
            name: names.model(given.vars.get(name, name)) for name in (*names.models, *given.vars)
        }

    def matrix(self) -> Matrix | None:
        self._check_vars()
        costs = self._costs()
        if not self._given.sets:
            self._reporter.require((*self._path, "sets"), "at least one set is needed")
        sets = {name: found for name in self._given.sets if (found := self._set(name))}
        order = self._order(sets)
        if self._is_broken or not sets:
            return None
        return Matrix(MappingProxyType(sets), order, MappingProxyType(costs))

    def _check_vars(self) -> None:
        for var, model in self._given.vars.items():
            path = (*self._path, "vars", var)
            if not _VAR.fullmatch(var):
                message = "the name of a variable is 1 to 32 of a-z, A-Z, 0-9, - and ."
                self._reporter.report_key(path, message)
            if self._names.model(model) is None:
                self._reporter.report(path, self._names.no_model(model))

    def _costs(self) -> dict[ModelId, int]:
        costs: dict[ModelId, int] = {}
        for name, cost in self._given.evict_costs.items():
            path = (*self._path, "evict_costs", name)
            model = self._models.get(name)
            if name not in self._models:
                self._reporter.report_key(path, self._unknown(name))
            elif cost < 1:
                self._reporter.report(path, "must be at least 1")
            elif model is not None and costs.setdefault(model, cost) != cost:
                message = f"{quoted(model)} has another cost already, {costs[model]}"
                self._reporter.report(path, message)
        return costs

    def _set(self, name: str) -> ModelSet | None:
        text = self._given.sets[name]
        complaints: list[BadSet] = []
        expression: Expression | None = None
        try:
            expression = parse_set(
                text,
                name=lambda word, at: self._leaf(word, at, complaints),
                ref=lambda word, at: self._ref(word, at, complaints),
            )
        except BadSet as bad:
            complaints.append(bad)
        self._tell(name, text, complaints)
        self._is_broken |= bool(complaints)
        return ModelSet(name, text, expression) if expression else None

    def _tell(self, name: str, text: str, complaints: list[BadSet]) -> None:
        """Report what is wrong with a set, each mistake once, with a caret under it."""
        offsets: dict[str, int] = {}
        for bad in sorted(complaints, key=lambda bad: bad.offset):
            offsets.setdefault(str(bad), bad.offset)
        lines: dict[str, int] = {}
        for words, offset in offsets.items():
            message = pointed_out(words, text, offset) if text.strip() else words
            lines[message] = text.count("\n", 0, offset)
        self._reporter.report_lines((*self._path, "sets", name), lines)

    def _leaf(self, word: str, at: int, complaints: list[BadSet]) -> Expression:
        model = self._models.get(word)
        if word not in self._models:
            complaints.append(BadSet(self._unknown(word), at))
        return Leaf(model or ModelId(word))

    def _ref(self, word: str, at: int, complaints: list[BadSet]) -> Expression:
        if word not in self._given.sets:
            hint = did_you_mean(word, self._given.sets)
            complaints.append(BadSet(f"there is no set {quoted(word)}{hint}", at))
        return Ref(word)

    def _unknown(self, word: str) -> str:
        if self._names.model(word) is None and word in self._names.aliases:
            return self._names.no_model(word)
        if word in self._given.sets:
            return f"{quoted(word)} is a set, write +{word}"
        return f"unknown variable or model {quoted(word)}{did_you_mean(word, self._models)}"

    def _order(self, sets: Mapping[str, ModelSet]) -> tuple[str, ...]:
        """Return the names of ``sets``, each after those it refers to, and report circles."""
        done: list[str] = []
        way: dict[str, Iterator[str]] = {}  # from a set down to the one that is looked at
        for name in sets:
            if name not in done:
                way[name] = references(sets[name].expression)
            while way:
                last = next(reversed(way))
                inner = next(way[last], None)
                if inner is None:
                    done.append(last)
                    del way[last]
                elif inner in way:
                    self._report_circle([*way][[*way].index(inner) :])
                    self._is_broken = True
                elif inner in sets and inner not in done:
                    way[inner] = references(sets[inner].expression)
        return tuple(done)

    def _report_circle(self, circle: list[str]) -> None:
        round_trip = " -> ".join(quoted(name) for name in [*circle, circle[0]])
        path = (*self._path, "sets", circle[0])
        self._reporter.report(path, f"sets must not refer to each other in a circle: {round_trip}")
