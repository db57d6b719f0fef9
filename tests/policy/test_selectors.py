"""For whom a selector stands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swapd.config.peers import PeerModel
from swapd.config.selectors import Selector, Strategy, Target
from swapd.errors import ModelUnavailable
from swapd.ids import ModelId
from swapd.policy.life import ModelState
from swapd.policy.selectors import Destination, Selectors, Standing

STOPPED, STARTING = ModelState.STOPPED, ModelState.STARTING
READY, STOPPING = ModelState.READY, ModelState.STOPPING

A, B, C = (ModelId(name) for name in "abc")


def selector(strategy: Strategy, *targets: Target, spillover: int = 1) -> Selector:
    return Selector(
        id="any",
        strategy=strategy,
        targets=tuple(f"call-{target}" for target in targets),
        resolved=targets,
        spillover=spillover,
        name="",
        description="",
        unlisted=False,
        metadata={},
    )


class Box:
    """Some targets, asked one after the other; peers' models have no state."""

    def __init__(self, states: Mapping[Target, ModelState | None]) -> None:
        self.states = dict(states)
        self.requests: Counter[Target] = Counter()
        self.failing: set[Target] = set()
        self.doomed: set[Target] = set()
        self._selectors = Selectors()

    def standing(self, target: Target) -> Standing:
        return Standing(
            self.states[target],
            self.requests[target],
            fails=target in self.failing,
            doomed=target in self.doomed,
        )

    def pick(self, which: Selector) -> Target:
        choice = self._selectors.choose(which, self.standing)
        self.requests[choice.target] += 1
        return choice.target


def stopped(*targets: Target) -> Box:
    return Box(dict.fromkeys(targets, STOPPED))


def test_a_choice_has_the_name_that_the_selector_gives_its_target() -> None:
    pin = selector(Strategy.PIN, A, B)
    assert Selectors().choose(pin, stopped(A, B).standing) == Destination(
        "call-a", A, selector="any"
    )


def test_pin_always_takes_the_first() -> None:
    box = Box({A: STOPPING, B: READY})
    assert [box.pick(selector(Strategy.PIN, A, B)) for _ in range(3)] == [A, A, A]


@pytest.mark.parametrize(
    ("states", "chosen"),
    [
        ((STARTING, STOPPED, READY), C),
        ((STARTING, READY, READY), B),
        ((STARTING, STARTING, STOPPED), A),
        ((STOPPED, STARTING, STOPPED), B),
        ((STOPPED, STOPPING, STOPPED), A),
        ((STOPPING, STOPPED, STOPPED), A),
    ],
)
def test_warm_takes_what_is_ready_else_what_starts_else_the_first(
    states: tuple[ModelState, ...], chosen: ModelId
) -> None:
    box = Box(dict(zip((A, B, C), states, strict=True)))
    assert box.pick(selector(Strategy.WARM, A, B, C)) == chosen


def test_spillover_fills_a_target_before_it_takes_the_next() -> None:
    spill = selector(Strategy.SPILLOVER, A, B, C, spillover=2)
    box = stopped(A, B, C)
    assert [box.pick(spill) for _ in range(3)] == [A, A, B]
    box.requests[A] -= 1
    box.states = dict.fromkeys((A, B, C), READY)
    assert box.pick(spill) == C


def test_spillover_takes_the_least_busy_when_all_are_full() -> None:
    spill = selector(Strategy.SPILLOVER, A, B)
    box = stopped(A, B)
    box.requests.update({A: 3, B: 2})
    assert box.pick(spill) == B


def test_spillover_takes_turns_among_equals() -> None:
    box = Box({A: READY, B: READY, C: READY})
    picks = []
    for _ in range(6):
        picks.append(box.pick(selector(Strategy.SPILLOVER, A, B, C)))
        box.requests.clear()
    assert picks == [A, B, C, A, B, C]


def test_spillover_prefers_what_is_loaded_to_what_must_be() -> None:
    assert Box({A: STOPPED, B: STARTING}).pick(selector(Strategy.SPILLOVER, A, B)) == B


def test_spillover_never_waits_for_an_end() -> None:
    box = Box({A: STOPPING, B: STOPPED})
    box.requests[A] = 5
    assert [box.pick(selector(Strategy.SPILLOVER, A, B)) for _ in range(3)] == [B, B, B]


def test_spillover_over_what_is_all_stopping_says_so() -> None:
    box = Box({A: STOPPING, B: STOPPING})
    with pytest.raises(ModelUnavailable, match='"any" has no available spillover targets') as no:
        box.pick(selector(Strategy.SPILLOVER, A, B))
    assert no.value.retry_after > 0


def test_spillover_over_peers_goes_by_its_own_requests_alone() -> None:
    first, second = PeerModel("remote", "a"), PeerModel("remote", "b")
    spill = selector(Strategy.SPILLOVER, first, second)
    box = Box({first: None, second: None})
    assert [box.pick(spill), box.pick(spill)] == [first, second]
    box.requests.clear()
    assert box.pick(spill) == first


@pytest.mark.parametrize("strategy", [Strategy.WARM, Strategy.SPILLOVER])
def test_who_has_failed_is_left_out_while_there_are_others(strategy: Strategy) -> None:
    box = stopped(A, B)
    box.failing = {A}
    assert box.pick(selector(strategy, A, B)) == B
    hopeless = stopped(A, B)
    hopeless.failing = {A, B}
    assert hopeless.pick(selector(strategy, A, B)) == A


@pytest.mark.parametrize("other", [READY, STARTING])
def test_warm_takes_who_is_doomed_for_one_that_is_not_ready(other: ModelState) -> None:
    box = Box({A: READY, B: other})
    box.doomed = {A}
    assert box.pick(selector(Strategy.WARM, A, B)) == B
    box.states[B] = STOPPED
    assert box.pick(selector(Strategy.WARM, A, B)) == A


def test_spillover_leaves_out_who_is_doomed_while_there_are_others() -> None:
    spill = selector(Strategy.SPILLOVER, A, B, C)
    box = Box({A: READY, B: STOPPED, C: STOPPING})
    box.doomed = {A}
    assert [box.pick(spill), box.pick(spill)] == [B, B]
    box.states = {A: READY, B: READY, C: STOPPING}
    box.doomed = {A, B}
    assert box.pick(spill) == A, "it waits, for it would not be refused"


def test_pin_stays_with_a_target_that_has_failed() -> None:
    box = stopped(A, B)
    box.failing = {A}
    assert box.pick(selector(Strategy.PIN, A, B)) == A


_STANDINGS = st.lists(
    st.tuples(st.sampled_from([*ModelState, None]), st.integers(0, 5), st.booleans()),
    min_size=1,
    max_size=5,
)


@given(_STANDINGS, st.integers(1, 4))
def test_spillover_never_takes_a_busier_one_than_it_must(
    standings: list[tuple[ModelState | None, int, bool]], spillover: int
) -> None:
    targets = [ModelId(str(number)) for number in range(len(standings))]
    box = Box({target: state for target, (state, _, _) in zip(targets, standings, strict=True)})
    for target, (state, count, is_doomed) in zip(targets, standings, strict=True):
        box.requests[target] = count
        box.doomed |= {target} if state is READY and is_doomed else set()
    open_ = [target for target in targets if box.states[target] is not STOPPING]
    candidates = [target for target in open_ if target not in box.doomed] or open_
    spill = selector(Strategy.SPILLOVER, *targets, spillover=spillover)
    if not candidates:
        with pytest.raises(ModelUnavailable):
            box.pick(spill)
        return
    before = box.requests.copy()
    chosen = box.pick(spill)
    assert chosen in candidates
    assert before[chosen] < spillover or before[chosen] == min(before[t] for t in candidates)
