"""The scheduler in histories that nobody thought of, over several kinds of groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from swapd.config.matrix import Matrix
from swapd.config.schema import Group
from swapd.ids import Generation, ModelId, Ticket
from swapd.policy.effects import (
    Admit,
    Complete,
    Effect,
    Refuse,
    Revoke,
    StartModel,
    StopModel,
    WakeAt,
)
from swapd.policy.eviction import EvictionPolicy, GroupEviction
from swapd.policy.facts import (
    Fact,
    GraceOver,
    LoadRequested,
    ModelFailing,
    ModelReady,
    ModelStopped,
    ModelStuck,
    Reconfigured,
    RequestArrived,
    RequestFinished,
    ShutdownBegan,
    UnloadRequested,
    Woke,
)
from swapd.policy.life import ModelState, Reason
from swapd.policy.matrix.eviction import MatrixEviction
from swapd.policy.scheduler import Scheduler
from swapd.policy.seats import Rules, Terms
from swapd.testing.groups import group
from tests.policy.matrix.sets import read

MODELS = [ModelId(name) for name in "abcd"]

KINDS: Mapping[str, Mapping[str, Group]] = {
    "one at a time": {"(default)": group("a", "b", "c", "d")},
    "all together": {"g": group("a", "b", "c", "d", swap=False, exclusive=False)},
    "two pairs that swap": {
        "g": group("a", "b", exclusive=False),
        "h": group("c", "d", exclusive=False),
    },
    "an exclusive one beside guests": {
        "alone": group("a"),
        "guests": group("b", "c", "d", swap=False, exclusive=False),
    },
    "a persistent one": {
        "kept": group("a", exclusive=False, persistent=True),
        "rest": group("b", "c", "d"),
    },
}

MATRICES: Mapping[str, Matrix] = {
    "a matrix of pairs": read("x: a & b, y: c & d"),
    "a matrix of choices": read("x: a & (b | c), y: d & (c | a)", costs="a: 5"),
}


#: What the configuration says of one model: every kind of limit, and none.
TERMS = st.builds(
    Terms,
    ttl=st.sampled_from([0.0, 5.0, 9.0]),
    concurrency_limit=st.sampled_from([0, 0, 2, 3]),
    parallel=st.sampled_from([0, 1, 2]),
    priority=st.sampled_from([0, 0, 1, -1]),
)

EACH_MODELS = st.fixed_dictionaries(dict.fromkeys(MODELS, TERMS))

#: And of the whole queue.
RULES = st.builds(
    Rules,
    max_wait=st.sampled_from([0.0, 8.0]),
    max_queue=st.sampled_from([0, 2]),
    restore_on_failure=st.booleans(),
)

#: Seconds that nobody was woken for yet.
BEFORE_THE_CLOCK = st.sampled_from([0.0, 0.0, 0.0, 4.0, 12.0])

KIND = st.sampled_from(sorted({*KINDS, *MATRICES}))


class Thorough(Scheduler):
    """Walks the whole queue for every fact, also where that goes without saying."""

    def _at_once(self, fact: Fact, now: float) -> list[Effect] | None:
        return None


class AnyHistory(RuleBasedStateMachine):
    """Plays clients, an owner and processes in any order; the world answers when it likes."""

    @initialize(
        kind=KIND,
        terms=EACH_MODELS,
        bounds=RULES,
        loaded=st.lists(st.sampled_from(MODELS), unique=True),
    )
    def begin(
        self,
        kind: str,
        terms: Mapping[ModelId, Terms],
        bounds: Rules,
        loaded: Sequence[ModelId],
    ) -> None:
        self.kind, self.terms, self.bounds = kind, {**terms}, bounds
        self.configured = set(MODELS)
        self.policy = self.make_policy()
        self.scheduler = Scheduler(terms, self.policy, bounds)
        self.thorough = Thorough(terms, self.policy, bounds)
        self.now = 0.0
        self.tickets = 0
        self.requests: dict[Ticket, ModelId] = {}  # not finished yet
        self.orders: set[Ticket] = set()  # loads and unloads without an answer
        self.served: dict[Ticket, tuple[ModelId, Generation]] = {}
        self.revoked: set[Ticket] = set()
        self.starting: dict[ModelId, Generation] = {}
        self.ready: dict[ModelId, Generation] = {}
        self.stopping: dict[ModelId, Generation] = {}
        self.drains: dict[ModelId, float] = {}
        self.softly: set[ModelId] = set()  # to be unloaded once they are idle
        self.failing: set[ModelId] = set()  # stopping, for they ended by themselves
        self.stuck: set[ModelId] = set()  # stopping, maybe for ever
        self.wake_at: float | None = None
        self.ending = False
        for model in loaded:
            self.the_owner_loads(model, Reason.LOAD)
            while self.stopping or self.starting:
                self.everything_goes_well()

    def everything_goes_well(self) -> None:
        """Let each stop and each start that is under way come to its end."""
        for model, generation in {**self.stopping}.items():
            del self.stopping[model]
            self.feed(ModelStopped(model, generation, None))
        for model, generation in {**self.starting}.items():
            del self.starting[model]
            self.ready[model] = generation
            self.feed(ModelReady(model, generation))

    def make_policy(self) -> EvictionPolicy:
        if self.kind in MATRICES:
            return MatrixEviction(MATRICES[self.kind], self.configured)
        groups = {
            name: replace(given, members=tuple(m for m in given.members if m in self.configured))
            for name, given in KINDS[self.kind].items()
        }
        return GroupEviction(groups)

    def feed(self, fact: Fact) -> None:
        self.wake_at = None
        effects = self.scheduler.handle(fact, now=self.now)
        assert effects == self.thorough.handle(fact, now=self.now), "decided otherwise at once"
        for model in MODELS:
            assert self.scheduler.waiting(model) == self.thorough.waiting(model), "not forgotten"
            assert self.scheduler.in_flight(model) == self.thorough.in_flight(model), "not freed"
        for effect in effects:
            match effect:
                case Admit(ticket, model, generation):
                    going = self.drains.keys() | self.softly
                    assert model not in going, "admitted to a model that must go"
                    assert model == self.requests[ticket]
                    assert self.ready.get(model) == generation, "admitted to a model not ready"
                    assert ticket not in self.served, "admitted twice"
                    parallel, life = self.terms[model].parallel, (model, generation)
                    assert not 0 < parallel <= [*self.served.values()].count(life), "too many"
                    self.served[ticket] = life
                case Refuse(ticket, _):
                    assert ticket not in self.served, "refused after it was admitted"
                    if ticket in self.orders:
                        self.orders.remove(ticket)
                    else:
                        del self.requests[ticket]
                case Revoke(ticket, _):
                    assert ticket in self.served
                    self.revoked.add(ticket)
                case Complete(ticket):
                    self.orders.remove(ticket)
                case StartModel(model, generation, reason):
                    self.start(model, generation, reason)
                case StopModel(model, generation, reason):
                    self.stop(model, generation, reason)
                case WakeAt(when):
                    assert when > self.now
                    self.wake_at = when

    def start(self, model: ModelId, generation: Generation, reason: Reason) -> None:
        assert not self.ending, "started while ending"
        assert not self.scheduler.backoff(model, self.now), "started while it backs off"
        wanted = {place.want.model for place in self.scheduler.queue(self.now)}
        assert (model in wanted) is not (reason is Reason.RESTORED)
        up = self.starting.keys() | self.ready.keys() | self.stopping.keys()
        assert model not in up, "two lives at once"
        assert not self.policy.victims(model, up).evict, "started beside a victim"
        self.starting[model] = generation

    def stop(self, model: ModelId, generation: Generation, reason: Reason) -> None:
        drained = reason is Reason.RELOAD and self.now >= self.drains.get(model, 0.0)
        ordered = reason is Reason.UNLOAD and model not in self.softly
        if not ordered and not drained:
            assert (model, generation) not in self.served.values(), "stopped a busy model"
        lives = self.starting if model in self.starting else self.ready
        assert lives.pop(model) == generation, "stopped another generation"
        self.stopping[model] = generation
        self.drains.pop(model, None)
        self.softly.discard(model)

    def ticket(self) -> Ticket:
        self.tickets += 1
        return Ticket(self.tickets)

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.feed(Woke())

    @rule(model=st.sampled_from(MODELS), after=BEFORE_THE_CLOCK)
    def a_request_arrives(self, model: ModelId, after: float) -> None:
        self.now += after
        ticket = self.ticket()
        self.requests[ticket] = model
        self.feed(RequestArrived(ticket, model))

    @rule(which=st.integers(0, 20), after=BEFORE_THE_CLOCK)
    def a_request_finishes(self, which: int, after: float) -> None:
        if self.requests:
            self.now += after
            ticket = [*self.requests][which % len(self.requests)]
            del self.requests[ticket]
            self.served.pop(ticket, None)
            self.revoked.discard(ticket)
            self.feed(RequestFinished(ticket))

    @rule(model=st.sampled_from(MODELS), reason=st.sampled_from([Reason.LOAD, Reason.PRELOAD]))
    def the_owner_loads(self, model: ModelId, reason: Reason) -> None:
        ticket = self.ticket()
        self.orders.add(ticket)
        self.feed(LoadRequested(ticket, model, reason))

    @rule(models=st.sets(st.sampled_from(MODELS), min_size=1))
    def the_owner_unloads(self, models: set[ModelId]) -> None:
        ticket = self.ticket()
        self.orders.add(ticket)
        self.softly -= models
        up = {(model, generation) for model, generation in self.ready.items() if model in models}
        cut = {ticket for ticket, life in self.served.items() if life in up}
        self.feed(UnloadRequested(ticket, tuple(sorted(models))))
        assert cut <= self.revoked, "unloaded under a request without a word"

    @rule(models=st.sets(st.sampled_from(MODELS), min_size=1))
    def the_owner_unloads_what_is_idle(self, models: set[ModelId]) -> None:
        ticket = self.ticket()
        self.orders.add(ticket)
        busy = {
            model
            for model, generation in self.served.values()
            if self.ready.get(model) == generation
        }
        self.softly |= busy & models
        revoked = set(self.revoked)
        self.feed(UnloadRequested(ticket, tuple(sorted(models)), drain=True))
        assert revoked == self.revoked, "cut what was to be drained"

    @rule(
        models=st.sets(st.sampled_from(MODELS), min_size=1),
        changed=st.sets(st.sampled_from(MODELS)),
        seconds=st.floats(0, 40),
        kind=KIND,
        given=EACH_MODELS,
        bounds=RULES,
    )
    def the_configuration_changes(
        self,
        models: set[ModelId],
        changed: set[ModelId],
        seconds: float,
        kind: str,
        given: Mapping[ModelId, Terms],
        bounds: Rules,
    ) -> None:
        self.kind, self.configured, self.bounds = kind, models, bounds
        self.policy = self.make_policy()
        terms = {model: given[model] for model in sorted(models)}
        self.terms.update(terms)  # what is taken out goes on by what it had
        drain_by = self.now + seconds
        left = {m for m in MODELS if m not in models or m in changed} & self.ready.keys()
        for model in left:  # the first limit holds
            self.drains[model] = min(drain_by, self.drains.get(model, drain_by))
        self.feed(Reconfigured(terms, self.policy, frozenset(changed), drain_by, self.bounds))

    @rule(already=st.sampled_from([False, False, False, False, True]))
    def swapd_ends(self, already: bool) -> None:
        if already:  # little can happen behind it
            self.ending = True
            self.feed(ShutdownBegan())

    @rule()
    def who_is_served_has_had_time_enough(self) -> None:
        if self.ending:
            up = self.ready.items()
            served = {ticket for ticket, life in self.served.items() if life in up}
            self.feed(GraceOver())
            assert served <= self.revoked, "served on without a word"

    @rule(data=st.data(), fails=st.sampled_from([False, False, True]))
    def a_start_ends(self, data: st.DataObject, fails: bool) -> None:
        if self.starting:
            model = data.draw(st.sampled_from(sorted(self.starting)))
            generation = self.starting.pop(model)
            if fails:
                self.feed(ModelStopped(model, generation, "boom"))
            else:
                self.ready[model] = generation
                self.feed(ModelReady(model, generation))

    @rule(data=st.data())
    def a_stop_ends(self, data: st.DataObject) -> None:
        if self.stopping:
            model = data.draw(st.sampled_from(sorted(self.stopping)))
            error = "exited with code 1" if model in self.failing else None
            self.failing.discard(model)
            self.stuck.discard(model)
            self.feed(ModelStopped(model, self.stopping.pop(model), error))

    @rule(data=st.data())
    def a_stop_is_stuck(self, data: st.DataObject) -> None:
        if self.stopping:
            model = data.draw(st.sampled_from(sorted(self.stopping)))
            self.stuck.add(model)
            self.feed(ModelStuck(model, self.stopping[model], "it does not end"))

    @rule(data=st.data())
    def a_model_fails(self, data: st.DataObject) -> None:
        for lives in (self.starting, self.ready):
            if lives:
                model = data.draw(st.sampled_from(sorted(lives)))
                generation = self.stopping[model] = lives.pop(model)
                self.drains.pop(model, None)
                self.softly.discard(model)
                self.failing.add(model)
                self.feed(ModelFailing(model, generation))

    @rule(data=st.data())
    def a_model_crashes(self, data: st.DataObject) -> None:
        if self.ready:
            model = data.draw(st.sampled_from(sorted(self.ready)))
            self.drains.pop(model, None)
            self.softly.discard(model)
            self.feed(ModelStopped(model, self.ready.pop(model), "exited with code 1"))

    @rule(model=st.sampled_from(MODELS), ready=st.booleans())
    def word_of_a_former_life_comes_late(self, model: ModelId, ready: bool) -> None:
        former = Generation(0)
        self.feed(ModelReady(model, former) if ready else ModelStopped(model, former, "late"))

    @invariant()
    def states_agree_with_the_world(self) -> None:
        for model in MODELS:
            expected = ModelState.STOPPED
            for lives, state in (
                (self.starting, ModelState.STARTING),
                (self.ready, ModelState.READY),
                (self.stopping, ModelState.STOPPING),
            ):
                expected = state if model in lives else expected
            assert self.scheduler.state(model) is expected

    @invariant()
    def whoever_waits_is_owed_a_fact(self) -> None:
        """A process must answer, or a served request must end: nobody is forgotten."""
        if self.requests.keys() - self.served.keys() or self.orders:
            assert self.starting or self.stopping.keys() - self.stuck or self.served

    @invariant()
    def whoever_is_not_overdue_yet_will_be_woken(self) -> None:
        queue = [place.want for place in self.scheduler.queue(self.now)]
        oldest = {want.model: want for want in reversed(queue)}
        for want in oldest.values():
            due = want.since + self.bounds.max_wait
            if self.bounds.max_wait and due > self.now:
                assert self.wake_at is not None
                assert self.wake_at <= due

    @invariant()
    def whoever_idles_will_be_woken(self) -> None:
        mortal = {model for model in self.ready if self.terms[model].ttl}
        idle = mortal - {model for model, _ in self.served.values()}
        if idle - {place.want.model for place in self.scheduler.queue(self.now)}:
            assert self.wake_at is not None


AnyHistory.TestCase.settings = settings(max_examples=400, stateful_step_count=50)
TestAnyHistory = AnyHistory.TestCase


STEP = st.sampled_from([*["ask"] * 5, *["finish"] * 5, "drain"])


@settings(max_examples=500)
@given(
    kinds=st.tuples(KIND, KIND),
    terms=st.tuples(EACH_MODELS, EACH_MODELS),
    bounds=RULES,
    steps=st.lists(st.tuples(STEP, st.integers(0, 20), BEFORE_THE_CLOCK), min_size=30, max_size=40),
)
def test_traffic_for_ready_models_is_decided_as_by_a_walk(
    kinds: tuple[str, str],
    terms: tuple[Mapping[ModelId, Terms], Mapping[ModelId, Terms]],
    bounds: Rules,
    steps: Sequence[tuple[str, int, float]],
) -> None:
    """Histories of any kind seldom come to rest; so this begins with what was loaded in peace."""
    history = AnyHistory()
    history.begin(kinds[0], terms[0], bounds, MODELS)
    history.the_configuration_changes({*MODELS}, set(), 0.0, kinds[1], terms[1], bounds)
    for step, which, after in steps:
        ready = sorted(history.ready) or MODELS
        model = ready[which % len(ready)]
        match step:
            case "ask":
                history.a_request_arrives(model, after)
            case "finish":
                history.a_request_finishes(which, after)
            case "drain":
                history.the_owner_unloads_what_is_idle({model})
        history.everything_goes_well()
