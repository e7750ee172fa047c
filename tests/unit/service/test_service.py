"""A service: its name, what it owns, sets up and emits, and whom it is lent an emitter by."""

import asyncio

import msgspec
import pytest

from minuet import DeclarationError, Event, Service, StartupError, Transaction
from minuet.errors import place_of


class Placed(Event):
    order_id: str


class Cancelled(Event):
    order_id: str


class Emitted(msgspec.Struct):
    """One call of an emitter, as it arrived."""

    service: str
    event: object
    tx: object | None
    id: str | None
    correlation_id: str | None
    traceparent: str | None


class Recorder:
    """An emitter that keeps what it is given."""

    def __init__(self) -> None:
        self.emitted: list[Emitted] = []

    async def emit(
        self,
        service: str,
        event: object,
        *,
        tx: object | None,
        id: str | None,
        correlation_id: str | None,
        traceparent: str | None,
    ) -> str:
        self.emitted.append(Emitted(service, event, tx, id, correlation_id, traceparent))
        return id or "made"


def test_a_service_reads_as_what_it_owns_and_does():
    """The repr names the service, its events and its reactions."""
    orders = Service("orders", owns=[Placed, Cancelled])

    @orders.reaction
    async def confirm(placed: Placed) -> None: ...

    assert repr(orders) == "<Service orders owns [Placed.v1, Cancelled.v1] reacts in [confirm]>"
    assert repr(Service("mail")) == "<Service mail owns [] reacts in []>"


@pytest.mark.parametrize("name", ["a", "orders", "order-flow", "order_flow", "o2", "o" * 100])
def test_a_service_may_be_called(name):
    """Lower case letters, digits, `_` and `-`, a letter first, 100 at most."""
    assert Service(name).name == name


@pytest.mark.parametrize(
    "name", ["", "Orders", "2orders", "-orders", "order flow", "orders\n", "ordérs", "a.b", "o" * 101]
)
def test_a_name_that_a_broker_or_database_would_trip_over_is_refused(name):
    """Any other name is refused with the place of the service and an example."""
    with pytest.raises(DeclarationError, match=r"test_service\.py:\d+: Service .*such as `payments`"):
        Service(name)


def test_a_service_owns_events_only():
    """What is in `owns` must have a contract."""
    with pytest.raises(DeclarationError, match="Service orders owns str, which is not an event"):
        Service("orders", owns=[Placed, str])


def test_a_service_owns_an_event_once():
    """A repetition in `owns` is a slip, and refused."""
    with pytest.raises(DeclarationError, match=r"Service orders owns Placed\.v1 twice"):
        Service("orders", owns=[Placed, Cancelled, Placed])


def test_a_setup_is_kept_in_order_and_unchanged():
    """Setups are async functions of a Transaction; the decorator hands them back."""
    orders = Service("orders")

    async def tables(tx: Transaction) -> None: ...
    async def indexes(tx: Transaction) -> None: ...

    assert orders.setup(tables) is tables
    orders.setup(indexes)
    assert [setup.function for setup in orders.setups] == [tables, indexes]
    assert repr(orders.setups[0]) == f"<Setup tables at {place_of(tables)}>"


def sync_setup(tx: Transaction) -> None: ...
async def other_setup(tx: int) -> None: ...
async def empty_setup() -> None: ...
async def bare_setup(tx) -> None: ...


@pytest.mark.parametrize("function", [sync_setup, other_setup, empty_setup, bare_setup])
def test_a_setup_of_another_shape_is_refused(function):
    """The message shows the one shape that a setup has."""
    name = function.__name__
    with pytest.raises(DeclarationError) as refused:
        Service("orders").setup(function)
    assert str(refused.value) == (
        f"{place_of(function)}: Setup orders.{name} is not `async def {name}(tx: Transaction) -> None`. Write it so."
    )


def test_an_unconnected_service_refuses_to_emit():
    """Outside an App there is nobody to emit through; the message names the two ways in."""
    with pytest.raises(StartupError) as refused:
        asyncio.run(Service("orders").emit(Placed(order_id="1")))
    assert str(refused.value) == (
        "Service orders is not connected, so Placed cannot be emitted. "
        "Do it inside `async with app.connected():` or `async with app.running():`."
    )


def test_emit_goes_through_the_bound_emitter():
    """What the caller gives reaches the emitter under the service's name; the answer is the event's id."""
    orders, recorder = Service("orders"), Recorder()
    orders.bind(recorder)
    event, connection = Placed(order_id="1"), object()
    given = {"tx": connection, "id": "7", "correlation_id": "c", "traceparent": "00-1-1-01"}
    assert asyncio.run(orders.emit(event, **given)) == "7"
    assert asyncio.run(orders.emit(event)) == "made"
    assert recorder.emitted == [
        Emitted("orders", event, connection, "7", "c", "00-1-1-01"),
        Emitted("orders", event, None, None, None, None),
    ]


def test_a_service_is_connected_by_one_app_at_a_time():
    """Binding a second emitter is refused, the same one again is nothing, and unbinding makes room."""
    orders, first, second = Service("orders"), Recorder(), Recorder()
    orders.bind(first)
    orders.bind(first)
    with pytest.raises(StartupError, match="Service orders is connected by another App already"):
        orders.bind(second)
    orders.unbind()
    orders.bind(second)
    asyncio.run(orders.emit(Placed(order_id="1")))
    assert (len(first.emitted), len(second.emitted)) == (0, 1)


def test_an_unbound_service_refuses_again():
    """After unbind, emit is refused as before."""
    orders = Service("orders")
    orders.bind(Recorder())
    orders.unbind()
    with pytest.raises(StartupError, match="is not connected"):
        asyncio.run(orders.emit(Placed(order_id="1")))


def test_services_share_nothing():
    """Two services of one name are two values: what one declares, the other does not know."""
    one, other = Service("orders"), Service("orders")

    @one.reaction
    async def confirm(placed: Placed) -> None: ...

    assert other.reactions == ()
