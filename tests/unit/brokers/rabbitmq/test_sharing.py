"""Who of a service's workers has which queue."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from minuet.brokers.rabbitmq.sharing import Member, eligible, places

workers = st.sets(st.text("abcdef0123", min_size=1, max_size=6), min_size=1, max_size=12)
numbers = st.integers(1, 32)


@given(workers, numbers)
def test_nobody_has_two_more_than_another(members: set[str], queues: int) -> None:
    """Every queue has an owner, and the shares differ by one at most."""
    shares = Counter(dict.fromkeys(members, 0))
    shares.update(place.owner for place in places(members, queues))
    assert sum(shares.values()) == queues
    assert max(shares.values()) - min(shares.values()) <= 1


@given(workers, numbers, st.randoms())
def test_all_come_to_the_same_shares(members: set[str], queues: int, chance) -> None:
    """In whatever order they heard of each other."""
    shuffled = sorted(members)
    chance.shuffle(shuffled)
    assert places(shuffled, queues) == places(members, queues)


@given(workers, numbers)
def test_the_standby_is_who_has_it_next(members: set[str], queues: int) -> None:
    """When an owner goes, its queues are already waited for by those whom they fall to."""
    shares = places(members, queues)
    for owner in {place.owner for place in shares}:
        left = places(members - {owner}, queues) if len(members) > 1 else None
        for number, place in enumerate(shares):
            if place.owner == owner:
                assert place.standby == (left[number].owner if left else None)


def test_few_queues_change_hands() -> None:
    """A fifth worker takes its share, and little else moves."""
    before, after = places("abcd", 32), places("abcde", 32)
    moved = [one.owner for one, other in zip(before, after, strict=True) if one.owner != other.owner]
    assert len(moved) <= 16


@given(st.lists(st.frozensets(st.sampled_from("ABCD"), max_size=4), min_size=1, max_size=6))
def test_who_takes_less_than_another_has_no_share(topics: list[frozenset[str]]) -> None:
    """While a new version takes over, the old one leaves it the queues; somebody always has a share."""
    members = [Member(str(number), each, 8) for number, each in enumerate(topics)]
    chosen = eligible(members)
    assert chosen
    for member in members:
        assert (member.id in chosen) == (not any(member.topics < other.topics for other in members))
