"""Matrices as a test writes them."""

from __future__ import annotations

from collections.abc import Mapping

from swapd.config.load import parse
from swapd.config.matrix import And, Expression, Leaf, Matrix, ModelSet, Or
from swapd.ids import ModelId

MODELS = [
    *("gemma", "qwen", "mistral", "voxtral", "llama70B", "reranker"),
    *("target", "outside", "missing", "sd", "L"),
    *"abcdegqmvtuz",
]


def read(sets: str, *, names: str = "", costs: str = "") -> Matrix:
    """Return the matrix that a file with these ``sets``, variables and costs comes to."""
    models = ", ".join(f"{model}: {{cmd: 'x ${{PORT}}'}}" for model in MODELS)
    matrix = f"sets: {{{sets}}}, vars: {{{names}}}, evict_costs: {{{costs}}}"
    config = parse(f"models: {{{models}}}\nmatrix: {{{matrix}}}", "c.yaml", environ={})
    assert config.routing.matrix is not None
    return config.routing.matrix


def built(sets: Mapping[str, Expression], costs: Mapping[ModelId, int] | None = None) -> Matrix:
    """Return a matrix of ``sets``, which refer to earlier ones only."""
    whole = {name: ModelSet(name, "", expression) for name, expression in sets.items()}
    return Matrix(whole, tuple(whole), costs or {})


def groups(of: int, each: int) -> tuple[Expression, ...]:
    """Return ``of`` choices between ``each`` models ``model-0-0``, ``model-0-1``, …."""
    return tuple(
        Or(tuple(Leaf(ModelId(f"model-{group}-{one}")) for one in range(each)))
        for group in range(of)
    )


def target_and(*parts: Expression) -> Expression:
    """Return ``target & …`` of all ``parts``."""
    return And((Leaf(ModelId("target")), *parts))


def ids(names: str) -> frozenset[ModelId]:
    """Return the models that ``names`` lists, with spaces between them."""
    return frozenset(map(ModelId, names.split()))
