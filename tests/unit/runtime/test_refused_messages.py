"""What a broker would not take: what waits for it, for how long, and when its whole topic does."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.ports.broker import Message
from minuet.ports.store import Owed
from minuet.runtime.refusals import MOST_BEHIND, MOST_BEHIND_BYTES, MOST_REFUSED, Behind, Refusals

LONG_AFTER = 1e6


class Full:
    """Every pause is as long as it may be."""

    def random(self) -> float:
        return 1.0


def owed(number: int, topic: str = "Sold", key: str | None = None, body: str = "{}") -> Owed:
    return Owed(number, Message(topic, key, f"{number}", "/s", None, body), 0.0)


def numbers(rows: list[Owed]) -> list[int]:
    return [row.id for row in rows]


orders = st.lists(
    st.tuples(st.sampled_from(["Sold", "Paid"]), st.sampled_from(["a", "b", None])), max_size=MOST_REFUSED
)


@given(orders, st.sets(st.integers(0, MOST_REFUSED - 1)), st.floats(0, 1))
def test_a_refused_one_holds_up_itself_and_what_is_behind_it_of_its_key(asked, refused, now) -> None:
    """Until its time; whatever else is owed is ready, in its order."""
    rows = [owed(number, *order) for number, order in enumerate(asked)]
    refusals = Refusals(Full())
    for row in rows:
        if row.id in refused:
            refusals.refuse(row, 0.0)
    early = [row for row in rows if row.id in refused] if now < min(refusals.instants(), default=0.0) else []
    held_up = {
        row.id
        for row in rows
        for one in early
        if row is one or (row.id > one.id and one.message.key is not None and order_of(row) == order_of(one))
    }
    ready, _ = refusals.ready(rows, now)
    assert numbers(ready) == [row.id for row in rows if row.id not in held_up]


def order_of(row: Owed) -> tuple[str, str | None]:
    return (row.message.topic, row.message.key)


@given(st.integers(1, 60))
def test_each_refusal_makes_the_next_trial_later_up_to_a_bound(times) -> None:
    """And how often it was refused is said."""
    refusals, row, pauses, said = Refusals(Full()), owed(7), list[float](), ""
    for _ in range(times):
        said = refusals.refuse(row, 100.0)
        [again_at] = refusals.instants()
        pauses.append(again_at - 100.0)
    assert pauses == sorted(pauses)
    assert 0 < pauses[0] <= pauses[-1] <= 10.0
    assert said == f"Sold 7, refused {times} times"


def test_many_refused_ones_hold_up_their_topic_of_which_one_is_tried() -> None:
    """Nothing of it is claimed before the time of that trial, which is the oldest row; other topics go on."""
    refusals = Refusals(Full())
    said = [refusals.refuse(owed(number), 0.0) for number in range(MOST_REFUSED + 1)]
    assert said[-2:] == [f"Sold {MOST_REFUSED - 1}, refused 1 times", "Sold, refused as a whole, 1 times"]
    assert refusals.holds_up("Sold")
    assert (refusals.topics_held_up(0.0), refusals.topics_held_up(LONG_AFTER)) == ({"Sold"}, set())
    rows = [owed(1), owed(2, "Paid"), owed(3), owed(4, "Paid")]
    assert refusals.ready(rows, LONG_AFTER) == ([rows[0], rows[1], rows[3]], False)
    refusals.taken(rows[:1])
    assert not refusals
    assert refusals.ready(rows, LONG_AFTER) == (rows, False)


def test_a_refused_one_before_many_of_its_key_holds_up_their_topic() -> None:
    """What would be claimed in vain each time is not claimed."""
    refusals = Refusals(Full())
    refusals.refuse(owed(0, key="a"), 0.0)
    behind = [owed(number, key="a") for number in range(MOST_BEHIND + 1)]
    assert refusals.ready([*behind, owed(999, "Paid")], 0.0) == ([owed(999, "Paid")], True)
    assert refusals.topics_held_up(0.0) == {"Sold"}


def test_a_refused_one_before_much_of_its_key_holds_up_their_topic() -> None:
    """A few large ones are as much to claim in vain as many."""
    refusals = Refusals(Full())
    refusals.refuse(owed(0, key="a"), 0.0)
    third = "\u6f22" * (MOST_BEHIND_BYTES // 9)
    behind = [owed(number, key="a", body=third) for number in range(4)]
    assert refusals.ready(behind[:3], 0.0) == ([], True)
    assert refusals.topics_held_up(0.0) == set()
    assert refusals.ready(behind, 0.0) == ([], True)
    assert refusals.topics_held_up(0.0) == {"Sold"}


def test_what_is_no_longer_owed_is_forgotten() -> None:
    """Another relay has published it, or somebody took it away."""
    refusals = Refusals(Full())
    refusals.refuse(owed(1), 0.0)
    refusals.ready([owed(2)], 0.0)
    assert not refusals


def test_what_took_the_room_of_others_is_told() -> None:
    """Those that wait count, so that a next claim reaches beyond them; once it does, nothing more is behind them."""
    refusals = Refusals(Full())
    refusals.refuse(owed(1, key="a"), 0.0)
    rows = [owed(1, key="a"), owed(2, key="a")]
    assert refusals.ready(rows, 0.0) == ([], True)
    assert (refusals.passed_over, refusals.passed_over_bytes) == (2, 4)
    assert refusals.ready(rows, 0.0) == ([], False)


def test_the_rest_of_a_batch_waits_behind_its_refused_one() -> None:
    """What has its key, and all of a topic that is refused as a whole; not what has no key."""
    refusals = Refusals(Full())
    behind = Behind(refusals)
    behind.add(owed(1, key="a"))
    assert [owed(2, key="a") in behind, owed(3, key="b") in behind, owed(4) in behind] == [True, False, False]
    for number in range(MOST_REFUSED + 1):
        refusals.refuse(owed(10 + number), 0.0)
    behind.add(owed(10))
    assert owed(4) in behind
