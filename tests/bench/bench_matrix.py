"""Times a matrix of many combinations: `python -m tests.bench.bench_matrix`.

Each row is the best of some runs, in milliseconds: to compile the matrix, to solve it once for
a model that does not run beside one of each group and one outside, and to be told again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import perf_counter

from swapd.config.matrix import And, Expression, Leaf, Matrix, ModelSet, Or, Ref
from swapd.ids import ModelId
from swapd.policy.matrix.eviction import MatrixEviction
from swapd.policy.matrix.program import compile_matrix
from swapd.policy.matrix.solver import solve

RUNS = 20
TARGET = ModelId("target")
OUTSIDE = ModelId("outside")


def groups(of: int, each: int) -> list[Expression]:
    """Return ``of`` choices between ``each`` models."""
    return [Or(tuple(Leaf(name(group, one)) for one in range(each))) for group in range(of)]


def name(group: int, one: int) -> ModelId:
    """Return the name of one model of a group."""
    return ModelId(f"model-{group}-{one}")


def one_set(of: int, each: int) -> Matrix:
    """Return a matrix of one set: the target beside one of each group."""
    return matrix({"large": And((Leaf(TARGET), *groups(of, each)))})


def many_sets(of: int, each: int, sets: int) -> Matrix:
    """Return a matrix of ``sets`` sets that share their groups, each with a model of its own."""
    shared: dict[str, Expression] = {"base": And(tuple(groups(of, each)))}
    for n in range(sets):
        shared[f"set-{n}"] = And((Leaf(TARGET), Ref("base"), Leaf(ModelId(f"own-{n}"))))
    return matrix(shared)


def matrix(sets: dict[str, Expression]) -> Matrix:
    """Return the matrix of ``sets``."""
    return Matrix({s: ModelSet(s, "", text) for s, text in sets.items()}, tuple(sets), {})


def best_ms(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes at its best."""
    times = []
    for _ in range(RUNS):
        begin = perf_counter()
        work()
        times.append(perf_counter() - begin)
    return min(times) * 1000


def row(title: str, whole: Matrix, running: frozenset[ModelId]) -> str:
    """Time one matrix."""
    program = compile_matrix(whole)
    compiling = best_ms(lambda: compile_matrix(whole))
    solving = best_ms(lambda: solve(program, {}, TARGET, running))
    policy = MatrixEviction(whole, running)
    again = best_ms(lambda: policy.victims(TARGET, running))
    return f"{title:<44} {compiling:9.3f} {solving:9.3f} {again:9.4f}"


def main() -> None:
    """Print the table."""
    lines = [f"{'combinations':<44} {'compile':>9} {'solve':>9} {'again':>9}"]
    for of in (2, 3, 4, 5, 6, 12):
        beside = frozenset({*(name(group, 9) for group in range(of)), OUTSIDE})
        lines.append(row(f"10^{of}", one_set(of, 10), beside))
    all_six = frozenset(name(group, one) for group in range(6) for one in range(10))
    lines.append(row("10^6, all 60 models run", one_set(6, 10), all_six))
    pair = frozenset({name(0, 999), name(1, 999), OUTSIDE})
    lines.append(row("10^6, of 2 groups of 1000", one_set(2, 1000), pair))
    six = frozenset({*(name(group, 9) for group in range(6)), OUTSIDE})
    lines += [row(f"10^6 in each of {n} sets", many_sets(6, 10, n), six) for n in (8, 32)]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
