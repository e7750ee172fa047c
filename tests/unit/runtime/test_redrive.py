"""Handing dead letters back to the one consumer that failed: by plan, canaries first, edited within the contract."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from minuet import App, Event, Service, Transaction
from minuet.core.editing import Edit
from minuet.errors import EditRefused
from minuet.ports.observer import Point
from minuet.ports.store import DeadLetterFilter
from minuet.runtime.redrive import Redrive, editor
from minuet.runtime.system import SystemClock
from minuet.stores.sqlite import SqliteStore
from minuet.testing.signals import Signals

OPEN = DeadLetterFilter()


def in_a_loop(test):
    """Run an async test to its end; it gets the URL of a file of its own."""

    def run(tmp_path):
        asyncio.run(test(f"sqlite:///{tmp_path}/post.db"))

    run.__doc__ = test.__doc__
    return run


class Refused(Exception):
    """What the mail gateway answers."""


class Registered(Event, key="user"):
    user: str
    address: str


class Gateway:
    """Refuses addresses, until it does not."""

    def __init__(self, refuses):
        self.refuses = refuses
        self.sent = []

    def send(self, address):
        if address in self.refuses:
            raise Refused(address)
        self.sent.append(address)


class Post:
    """A service that dies of refused addresses, the app that runs it, and its store as an operator has it open."""

    def __init__(self, url, refuses):
        self.gateway = Gateway(set(refuses))
        self.accounts = Service("accounts", owns=[Registered])
        self.mail = Service("mail")
        self.signals = Signals([Point.COMMITTED])
        self.store = SqliteStore.from_url(url)

        @self.mail.reaction(never=Refused)
        async def welcome(user: Registered, tx: Transaction, gateway: Gateway) -> None:
            gateway.send(user.address)

        self.app = App(
            [self.accounts, self.mail], broker=url, observers=[self.signals], provide={Gateway: self.gateway}
        )


@asynccontextmanager
async def opened(store):
    """The store, open."""
    await store.open(create=False)
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def dead_letters(url, *addresses, refuses):
    """A post that runs, with one event an address, and a dead letter for each refused one."""
    post = Post(url, refuses)
    async with post.app.running(), opened(post.store):
        for number, address in enumerate(addresses):
            await post.accounts.emit(Registered(user=f"u{number}", address=address), id=f"e{number}")
        await post.signals.reached(Point.COMMITTED, count=len(addresses))
        yield post, Redrive(post.store, SystemClock())


@in_a_loop
async def test_a_selection_is_handed_back_and_handled(url):
    """What was dead is handled under its own id, once, and the other event is left alone."""
    async with dead_letters(url, "a@x", "b@x", "c@x", refuses={"a@x", "c@x"}) as (post, redrive):
        selection = await redrive.select(OPEN)
        assert len(selection) == 2
        post.gateway.refuses.clear()
        outcome = await redrive.hand_back(selection, wait_seconds=30)
        assert outcome.resolved == selection.ids
        assert sorted(post.gateway.sent) == ["a@x", "b@x", "c@x"]
        assert (await redrive.select(OPEN)).ids == ()


@in_a_loop
async def test_what_dies_again_is_told(url):
    """The outcome tells those that are handled from those that died again."""
    async with dead_letters(url, "a@x", "b@x", refuses={"a@x", "b@x"}) as (post, redrive):
        selection = await redrive.select(OPEN)
        post.gateway.refuses.discard("a@x")
        outcome = await redrive.hand_back(selection, wait_seconds=30)
        assert (outcome.resolved, outcome.died_again) == (selection.ids[:1], selection.ids[1:])
        [letter] = await post.store.list_dead_letters(OPEN)
        assert len(letter.history) == 2, "every attempt is kept, those before the redrive too"


@in_a_loop
async def test_a_canary_that_dies_again_keeps_the_rest_where_it_is(url):
    """Only the canaries were touched."""
    async with dead_letters(url, "a@x", "b@x", "c@x", refuses={"a@x", "b@x", "c@x"}) as (post, redrive):
        selection = await redrive.select(OPEN)
        outcome = await redrive.hand_back(selection, canaries=1, canary_seconds=30)
        assert (outcome.died_again, outcome.left) == (selection.ids[:1], selection.ids[1:])
        assert len(await post.store.survey_dead_letters(OPEN)) == 3


@in_a_loop
async def test_canaries_that_are_handled_let_the_rest_go(url):
    """Once the canaries are handled, the others follow."""
    async with dead_letters(url, "a@x", "b@x", "c@x", refuses={"a@x", "b@x", "c@x"}) as (post, redrive):
        post.gateway.refuses.clear()
        told = []
        selection = await redrive.select(OPEN)
        outcome = await redrive.hand_back(
            selection, canaries=2, canary_seconds=30, interval_seconds=0.001, wait_seconds=30, done=told.append
        )
        assert sorted(outcome.resolved) == list(selection.ids)
        assert sum(told) == 3


@in_a_loop
async def test_a_letter_that_somebody_else_redrove_is_passed_over(url):
    """A selection acts on each letter at most once: the second time nothing is open any more."""
    async with dead_letters(url, "a@x", refuses={"a@x"}) as (post, redrive):
        selection = await redrive.select(OPEN)
        post.gateway.refuses.clear()
        await redrive.hand_back(selection, wait_seconds=30)
        again = await redrive.hand_back(selection, canaries=1)
        assert again.passed_over == selection.ids
        assert post.gateway.sent == ["a@x"]


@in_a_loop
async def test_an_edited_letter_is_handled_as_edited_and_keeps_the_difference(url):
    """The consumer gets the edited payload; the letter says what was changed."""
    async with dead_letters(url, "a@x", refuses={"a@x"}) as (post, redrive):
        selection = await redrive.select(OPEN)
        edit = editor(post.app.services, Edit({"address": "b@x"}))
        outcome = await redrive.hand_back(selection, edit=edit, wait_seconds=30)
        assert outcome.resolved == selection.ids
        assert post.gateway.sent == ["b@x"]
        [letter] = await post.store.list_dead_letters(DeadLetterFilter(state="resolved"))
        assert '+  "address": "b@x"' in (letter.difference or "")


@in_a_loop
async def test_an_edit_that_one_letter_refuses_touches_none(url):
    """An edit is tried on the whole selection first."""
    async with dead_letters(url, "a@x", "b@x", refuses={"a@x", "b@x"}) as (post, redrive):
        selection = await redrive.select(OPEN)
        with pytest.raises(EditRefused, match="its key 'user' would change from 'u1' to 'u0'"):
            await redrive.hand_back(selection, edit=editor(post.app.services, Edit({"user": "u0", "address": "z"})))
        assert len(await post.store.survey_dead_letters(OPEN)) == 2


@in_a_loop
async def test_an_edit_needs_the_reaction_that_failed(url):
    """Without the contract that the reaction reads by there is nothing to edit against."""
    async with dead_letters(url, "a@x", refuses={"a@x"}) as (post, redrive):
        with pytest.raises(EditRefused, match=r"belongs to mail\.welcome, and the app has no such reaction"):
            await redrive.hand_back(await redrive.select(OPEN), edit=editor([post.accounts], Edit({"address": "b@x"})))


@in_a_loop
async def test_a_discarded_letter_says_why_and_is_not_open_any_more(url):
    """It is kept, with the reason, and redriven no more."""
    async with dead_letters(url, "a@x", refuses={"a@x"}) as (post, redrive):
        selection = await redrive.select(OPEN)
        outcome = await redrive.discard(selection, "the customer is gone")
        assert outcome.discarded == selection.ids
        [letter] = await post.store.list_dead_letters(DeadLetterFilter(state="discarded"))
        assert letter.because == "the customer is gone"
        assert (await redrive.discard(selection, "again")).passed_over == selection.ids
