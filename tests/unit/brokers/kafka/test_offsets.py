"""What is acknowledged of a partition, in any order, comes through a commit and its metadata, and nothing else does."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.brokers.kafka.offsets import MOST_BITS, MOST_METADATA_BYTES, PartitionOffsets, acknowledged_in

OFFSETS = st.lists(st.integers(0, 300), unique=True).map(sorted)


def assigned(offset: int = -1001, metadata: str | None = None) -> PartitionOffsets:
    found = PartitionOffsets("topic", 0, 1, 1)
    found.begin(offset, metadata)
    return found


@given(offsets=OFFSETS, data=st.data())
def test_what_is_done_does_not_come_again_and_what_is_not_does(offsets: list[int], data: st.DataObject) -> None:
    """Over any number of assignments, each of which fetches what follows its commit and acknowledges some of it, a
    record is handled anew exactly until it is acknowledged; records may be missing from the partition.
    """
    done: set[int] = set()
    offset, metadata = -1001, None
    for _ in range(3):
        partition = assigned(offset, metadata)
        rest = [each for each in offsets if each >= max(partition.start or 0, 0)]
        rest = rest[: data.draw(st.integers(0, len(rest)))]
        came = [each for each in rest if partition.fetched(each)]
        assert came == [each for each in rest if each not in done]
        for each in data.draw(st.lists(st.sampled_from(came), unique=True)) if came else ():
            partition.acknowledge(each)
            done.add(each)
        offset, metadata = partition.commit()
        assert len(metadata) <= MOST_METADATA_BYTES
        assert all(each in done for each in offsets if each < offset)
        assert done >= acknowledged_in(offset, metadata) & set(offsets)


def test_what_was_done_further_on_survives_a_commit_before_it_is_fetched() -> None:
    """A partition that changes hands twice without getting as far keeps what was done beyond."""
    first = assigned()
    for offset in range(10):
        first.fetched(offset)
    first.acknowledge(7)
    second = assigned(*first.commit())
    assert second.fetched(0)
    second.acknowledge(0)
    third = assigned(*second.commit())
    assert [offset for offset in range(1, 10) if third.fetched(offset)] == [1, 2, 3, 4, 5, 6, 8, 9]


def test_the_metadata_never_outgrow_what_a_broker_takes() -> None:
    """What is done further beyond than can be written down comes again."""
    partition = assigned()
    for offset in range(MOST_BITS + 100):
        partition.fetched(offset)
        if offset % 2:
            partition.acknowledge(offset)
    offset, metadata = partition.commit()
    assert offset == 0
    assert len(metadata) == MOST_METADATA_BYTES
    assert acknowledged_in(offset, metadata) == set(range(1, MOST_BITS, 2))


def test_metadata_of_others_say_nothing() -> None:
    """A commit by another client, or a damaged one, is an offset and no more."""
    for metadata in (None, "", "consumer-1", "minuet1:not base64!", "minuet1:"):
        assert acknowledged_in(5, metadata) == set()


def test_a_second_fetch_of_the_same_record_is_dropped() -> None:
    """What the library hands over again is open already."""
    partition = assigned(3, "")
    assert [partition.fetched(offset) for offset in (2, 3, 4, 3, 5)] == [False, True, True, False, True]


def test_what_holds_nothing_is_done_once_it_is_passed() -> None:
    """Offsets between records and before the end of a partition are done, whatever before them is open."""
    partition = assigned(3, "")
    assert [partition.fetched(offset) for offset in (3, 6)] == [True, True]
    assert acknowledged_in(*partition.commit()) == {4, 5}
    assert partition.pass_to(9)
    assert not partition.pass_to(9)
    assert acknowledged_in(*partition.commit()) == {4, 5, 7, 8}
    partition.acknowledge(3)
    assert acknowledged_in(*partition.commit()) == {7, 8}
    partition.acknowledge(6)
    assert partition.commit() == (9, "")


def test_an_end_that_was_passed_before_says_nothing() -> None:
    """The end of a partition never brings back what is before it, nor makes anything of what is open."""
    partition = assigned(3, "")
    partition.fetched(3)
    assert not partition.pass_to(4)
    assert not partition.pass_to(2)
    assert partition.commit() == (3, "")
