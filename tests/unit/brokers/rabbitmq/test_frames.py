"""What goes over RabbitMQ's wire is AMQP as another reader understands it, and comes back as it was."""

from hypothesis import given
from hypothesis import strategies as st
from pamqp import body, commands, frame, header

from minuet.brokers.rabbitmq import frames
from minuet.brokers.rabbitmq.carrying import KEY, KEYLESS, OURS, SOURCE, STRUCTURED, delivery_of, properties_of
from minuet.ports.broker import Message

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
names = words.filter(lambda name: name not in OURS and len(name.encode()) < 256 and name.lower() != "content-type")
bodies = st.one_of(st.binary(max_size=300), st.integers(1, 3).map(lambda times: b"x" * (times * frames.FRAME_BYTES)))
messages = st.builds(
    Message,
    topic=st.just("Sold"),
    key=st.none() | words,
    id=st.none() | words | st.just("i" * 400),
    source=st.none() | words,
    headers=st.none() | st.dictionaries(names | st.just("content-type"), words, max_size=5),
    body=bodies,
)


def unmarshalled(data: bytes) -> list[object]:
    """The frames, as pamqp reads them."""
    found: list[object] = []
    while data:
        used, channel, each = frame.unmarshal(data)
        assert channel == 7
        found.append(each)
        data = data[used:]
    return found


@given(messages)
def test_a_message_is_amqp(message: Message) -> None:
    """Pamqp reads the same frames: the topic, the body in frames that are small enough, id, source and key."""
    data = frames.publishing(7, "minuet", message.topic) + frames.content(7, properties_of(message), message.body)
    publish, content, *rest = unmarshalled(data)
    assert isinstance(publish, commands.Basic.Publish)
    assert (publish.exchange, publish.routing_key, publish.mandatory) == ("minuet", message.topic, True)
    assert isinstance(content, header.ContentHeader)
    assert content.body_size == len(message.body)
    assert all(isinstance(each, body.ContentBody) for each in rest)
    assert b"".join(each.value for each in rest) == message.body
    assert all(len(each.value) + frames.OVERHEAD <= frames.FRAME_BYTES for each in rest)
    properties = content.properties
    assert properties.delivery_mode == 2
    table = properties.headers or {}
    assert table.get(SOURCE) == message.source
    assert (None if KEYLESS in table else table[KEY]) == message.key
    assert KEY in table
    if message.headers is None:
        assert properties.content_type == STRUCTURED


@given(messages)
def test_a_message_comes_back_as_it_was(message: Message) -> None:
    """Whatever its key, id, source, headers and body; also when the server has counted its deliveries."""
    properties = properties_of(message)
    marked = header.ContentHeader()
    marked.unmarshal(b"\x00\x3c\x00\x00" + bytes(8) + properties)
    marked.properties.headers = {**(marked.properties.headers or {}), "x-delivery-count": 3}
    counted = b"\x00\x3c\x00\x00" + bytes(8) + marked.marshal()[12:]
    # pamqp leaves out what is empty, which the server does not.
    empty = message.id == "" or (message.headers or {}).get("content-type") == ""
    for told in (bytes(12) + properties, *([] if empty else [counted])):
        found = delivery_of(message.topic, told, message.body, 5)
        assert (found.key, found.id, found.source, found.body) == (
            message.key, message.id, message.source, message.body,
        )  # fmt: skip
        assert found.headers == message.headers
        assert found.token == 5


@given(bodies, st.integers(1, 5000).map(lambda most: 20 * most))
def test_a_body_in_any_pieces_is_put_together(content: bytes, most: int) -> None:
    """However the server cuts it."""
    found: list[tuple[bytes, bytes, bytes]] = []
    whole = frames.Content(lambda *all_of_it: found.append(all_of_it))
    for _ in range(2):
        whole.method(b"method")
        whole.header(bytes(4) + len(content).to_bytes(8, "big") + b"\x00\x00")
        for start in range(0, len(content), most):
            whole.body(content[start : start + most])
    assert [each[2] for each in found] == [content, content]


def test_an_acknowledgement_is_amqp() -> None:
    """With its tag, and whether all before it are meant."""
    for multiple in (False, True):
        [method] = unmarshalled(frames.acknowledging(7, 2**40, multiple=multiple))
        assert isinstance(method, commands.Basic.Ack)
        assert (method.delivery_tag, method.multiple) == (2**40, multiple)
