"""How many deliveries share a transaction, how many turns a mark, and who is blamed when a shared commit is refused."""

from hypothesis import given
from hypothesis import strategies as st

from minuet.errors import TransactionLost
from minuet.ports.broker import Delivery
from minuet.runtime.rounds import BATCH, MOST_CAUTION, ROUND_BYTES, ROUND_SECONDS, RoundSize, SharedMark, Suspicion


def deliveries(*sizes: int) -> list[Delivery]:
    """As many, whose bodies have so many bytes."""
    return [Delivery("Sold", None, None, None, None, b"x" * size, token) for token, size in enumerate(sizes)]


@given(st.floats(0.00001, 10), st.integers(1, BATCH))
def test_rounds_of_even_turns_come_to_fit(turn_seconds, most) -> None:
    """Wherever it begins, a lane whose turns take equally long comes to rounds that fit, and never takes none."""
    size = RoundSize(most)
    for _ in range(20):
        size.ran(size.most * turn_seconds)
    most = size.most
    assert 1 <= most <= BATCH
    assert most == 1 or most * turn_seconds <= ROUND_SECONDS
    assert most == BATCH or 2 * most * turn_seconds > ROUND_SECONDS / 2


def test_quick_turns_share_whole_batches_soon() -> None:
    """After a few rounds that take no time, a commit is shared by as many as ever."""
    size = RoundSize()
    for _ in range(8):
        size.ran(0.0)
    assert size.most == BATCH


@given(st.integers(0, 3 * ROUND_BYTES))
def test_a_round_of_even_bodies_fits_into_memory(body_bytes) -> None:
    """However large one is; and once they are small again, as many share a commit as ever."""
    size = RoundSize(BATCH)
    size.took(deliveries(body_bytes))
    assert 1 <= size.most <= BATCH
    assert size.most == 1 or size.most * body_bytes <= ROUND_BYTES
    assert size.most == BATCH or (size.most + 1) * body_bytes > ROUND_BYTES
    for _ in range(8):
        size.took(deliveries(200, 100))
        size.ran(0.0)
    assert size.most == BATCH


def test_a_round_that_took_nothing_tells_nothing_of_bodies() -> None:
    """What was known stays known."""
    size = RoundSize(BATCH)
    size.took(deliveries(ROUND_BYTES // 4))
    size.took([])
    assert size.most == 4


@given(st.lists(st.booleans(), max_size=60))
def test_after_something_wrong_turns_go_by_themselves_for_a_bounded_while(rights) -> None:
    """However rights and wrongs follow each other, so many turns at most go by themselves first."""
    mark = SharedMark()
    for right in rights:
        if mark.turns(16) == 0:
            continue
        if right:
            mark.right()
        else:
            mark.wrong()
    by_themselves = 0
    while mark.turns(16) == 0:
        by_themselves += 1
    assert by_themselves <= MOST_CAUTION


def test_caution_grows_while_it_goes_wrong_and_shrinks_again() -> None:
    """Each wrong doubles how many go by themselves, each right halves it."""

    def by_themselves(mark: SharedMark) -> int:
        count = 0
        while mark.turns(16) == 0:
            count += 1
        return count

    mark = SharedMark()
    assert by_themselves(mark) == 0
    mark.wrong()
    assert by_themselves(mark) == 2
    mark.wrong()
    assert by_themselves(mark) == 4
    for _ in range(3):
        mark.right()
    mark.wrong()
    assert by_themselves(mark) == 2


@given(st.integers(1, BATCH), st.data())
def test_who_is_to_blame_for_a_refused_commit_is_found(count, data) -> None:
    """Of deliveries whose shared commit was refused each goes by itself; the guilty one alone has failed, once."""
    guilty = data.draw(st.integers(0, count - 1))
    suspicion, error = Suspicion[int](), TransactionLost("refused")
    suspicion.refused(list(range(count)), error)
    committed, failed, at = [], [], 0
    while at < count:
        assert suspicion or failed
        if suspicion.of(at) is not None:
            failed.append(at)
        elif at == guilty:
            suspicion.refused([at], error)
            continue
        committed.append(at)
        suspicion.committed()
        at += 1
    assert failed == [guilty]
    assert committed == list(range(count))
    assert not suspicion.found


def test_whoever_is_guilty_and_elsewhere_is_forgotten() -> None:
    """Another process may have taken the guilty one: once a round is committed, nobody is on the watch for it."""
    suspicion = Suspicion[int]()
    suspicion.refused([7], TransactionLost("refused"))
    suspicion.refused([7], TransactionLost("refused"))
    assert suspicion.found
    suspicion.committed()
    assert not suspicion
    assert not suspicion.found
