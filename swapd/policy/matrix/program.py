"""Compiles a matrix: models become bits, expressions steps in a row.  Chooses nothing.

A set of models is then one number, a union one ``|``.  A step comes after its parts, and a
reference is the step that it refers to, so what is used often exists once and nothing here
or in the solver goes deeper than one set is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import reduce
from operator import or_
from typing import TypeAlias

from swapd.config.matrix import And, Expression, Leaf, Matrix, Or, Ref
from swapd.ids import ModelId

#: A set of models: one bit each.
Bits: TypeAlias = int


class Join(Enum):
    """What a step makes of its parts."""

    NONE = auto()  # it has none: it is one model
    ALL = auto()
    ANY = auto()


@dataclass(frozen=True, slots=True)
class Step:
    """One expression."""

    join: Join
    #: The steps that it joins, from the left; one may be there twice.
    parts: tuple[int, ...]
    #: Every model that one alternative or another holds.
    reach: Bits
    #: The first alternative.
    first: Bits


@dataclass(frozen=True, slots=True)
class Program:
    """A matrix, ready to be solved."""

    steps: tuple[Step, ...]
    #: The step that each set is, in the order in which the sets count.
    sets: Mapping[str, int]
    #: The bit of each model that is in a set; it stands at its place.
    models: Mapping[ModelId, Bits]

    def members(self, bits: Bits) -> frozenset[ModelId]:
        """Return the models that ``bits`` stand for."""
        return frozenset(model for model, bit in self.models.items() if bit & bits)


def compile_matrix(matrix: Matrix) -> Program:
    """Return the program of ``matrix``, in time linear in what is written."""
    compiler = _Compiler()
    for name in matrix.order:
        compiler.sets[name] = compiler.step_of(matrix.sets[name].expression)
    models = {model: compiler.steps[step].reach for model, step in compiler.leaves.items()}
    return Program(tuple(compiler.steps), compiler.sets, models)


class _Compiler:
    """The steps so far."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.sets: dict[str, int] = {}
        self.leaves: dict[ModelId, int] = {}

    def step_of(self, expression: Expression) -> int:
        match expression:
            case Leaf(model):
                return self._leaf(model)
            case Ref(name):
                return self.sets[name]  # it has been compiled: it counts before this one
            case And(parts):
                return self._join(Join.ALL, tuple(map(self.step_of, parts)))
            case Or(parts):
                return self._join(Join.ANY, tuple(map(self.step_of, parts)))

    def _leaf(self, model: ModelId) -> int:
        if model not in self.leaves:
            bit = 1 << len(self.leaves)
            self.leaves[model] = self._add(Step(Join.NONE, (), reach=bit, first=bit))
        return self.leaves[model]

    def _join(self, join: Join, parts: tuple[int, ...]) -> int:
        steps = [self.steps[part] for part in parts]
        reach = reduce(or_, (step.reach for step in steps))
        firsts = (step.first for step in steps)
        first = next(firsts) if join is Join.ANY else reduce(or_, firsts)
        return self._add(Step(join, parts, reach, first))

    def _add(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1
