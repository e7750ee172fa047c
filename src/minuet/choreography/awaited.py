"""What an instance still waits for, and from whom: a pure question to the manifest.

Nothing here decides a step. It reads what was declared, subtracts what was handled, and says what is left.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from minuet.choreography.manifest import Manifest, ReactionEntry, WorkflowEntry, names
from minuet.contracts.envelope import split_type

State: TypeAlias = Literal["running", "ended", "stuck"]


class Seen(NamedTuple):
    """One event of the instance by its type ("OrderPlaced.v1"), with ids of reactions ("payments.charge").

    `handled` are those that are done with it, be it by skipping it; for `given_up` it is a dead letter.
    """

    type: str
    handled: frozenset[str] = frozenset()
    given_up: frozenset[str] = frozenset()


class Awaited(NamedTuple):
    """A reaction that has yet to handle an event, and what it may emit once it has."""

    reaction: ReactionEntry
    event: str
    given_up: bool

    @property
    def sentence(self) -> str:
        """For people: `Paid.v1 or Declined.v1 from payments.charge, which has yet to handle Placed.v1`."""
        what = expected(self.reaction)
        who = f"{what} from {self.reaction.id}, which" if what else self.reaction.id
        if self.given_up:
            return f"{who} gave up on {self.event}: it is a dead letter until it is redriven"
        return f"{who} has yet to handle {self.event}"


class Outlook(NamedTuple):
    """Where an instance stands.

    `workflow` is the lens that its events start, None without one. `awaited` has one entry for each event and
    reaction that is not done. `ended_with` are the workflow's ends that were seen, `possible_ends` those that
    the awaited reactions may still lead to, dead letters included.

    `ended`: an end was seen, or, without a workflow, nothing is left to handle. `stuck`: no end was seen and
    nobody is at work: what is left, if anything, is dead letters. `running`: everything else.
    """

    state: State
    workflow: WorkflowEntry | None
    awaited: tuple[Awaited, ...]
    ended_with: tuple[str, ...]
    possible_ends: tuple[str, ...]


def outlook(manifest: Manifest, seen: Sequence[Seen]) -> Outlook:
    """What the instance with these events waits for. Versions are set aside: older ones are read too."""
    waiting = awaited(manifest, seen)
    workflow = workflow_of(manifest, seen)
    ends = () if workflow is None else workflow.ends
    seen_names = names(event.type for event in seen)
    ahead = reachable(manifest, [entry.reaction for entry in waiting])
    ended_with = tuple(end for end in ends if split_type(end)[0] in seen_names)
    return Outlook(
        state=state_of(waiting, workflow, ended_with),
        workflow=workflow,
        awaited=waiting,
        ended_with=ended_with,
        possible_ends=tuple(end for end in ends if split_type(end)[0] in ahead),
    )


def awaited(manifest: Manifest, seen: Sequence[Seen]) -> tuple[Awaited, ...]:
    """For every event, the reactions that take it and are not done with it."""
    return tuple(
        Awaited(reaction, event.type, reaction.id in event.given_up)
        for event in seen
        for reaction in manifest.takers(split_type(event.type)[0])
        if reaction.id not in event.handled
    )


def state_of(waiting: Sequence[Awaited], workflow: WorkflowEntry | None, ended_with: Sequence[str]) -> State:
    """Whether the instance has ended, is being worked on, or neither."""
    if ended_with:
        return "ended"
    if any(not entry.given_up for entry in waiting):
        return "running"
    return "stuck" if waiting or workflow is not None else "ended"


def workflow_of(manifest: Manifest, seen: Sequence[Seen]) -> WorkflowEntry | None:
    """The first workflow that one of these events starts, the earliest event first."""
    for event in seen:
        for workflow in manifest.workflows:
            if split_type(event.type)[0] in names(workflow.starts):
                return workflow
    return None


def reachable(manifest: Manifest, reactions: Iterable[ReactionEntry]) -> frozenset[str]:
    """The names of all events that may follow once these reactions run: theirs, and what follows those."""
    ahead: set[str] = set()
    new = {name for reaction in reactions for name in names(reaction.emits)}
    while new:
        ahead |= new
        takers = [taker for name in new for taker in manifest.takers(name)]
        new = {name for taker in takers for name in names(taker.emits)} - ahead
    return frozenset(ahead)


def expected(reaction: ReactionEntry) -> str:
    """What a reaction may emit, in words; empty if it emits nothing."""
    match reaction.shape:
        case "nothing":
            return ""
        case "one":
            return " or ".join(reaction.emits)
        case "maybe":
            return f"perhaps {' or '.join(reaction.emits)}"
        case "all":
            return " and ".join(reaction.emits)
        case "many" | "stream":
            return f"any number of {' or '.join(reaction.emits)}"
