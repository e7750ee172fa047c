"""What the client library says went wrong, as minuet's errors; and what it logs, through `logging`."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError, KafkaException

from minuet.brokers.kafka.repeats import Repeats
from minuet.errors import BrokerUnavailable, MinuetError, PayloadTooLarge

logger = logging.getLogger("minuet.brokers.kafka")
logger.addFilter(Repeats())

REFUSED = frozenset(
    (
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.INVALID_RECORD,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.INVALID_REQUIRED_ACKS,
    )
)
"""Of one topic or message; others may pass."""
LARGE = frozenset((KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE))
HOPELESS = frozenset(
    (
        KafkaError._AUTHENTICATION,  # noqa: SLF001  # the library's own errors are named so
        KafkaError._SSL,  # noqa: SLF001
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
    )
)
"""What no waiting mends."""


def error_in(exception: KafkaException) -> KafkaError | None:
    """The library's error in its exception."""
    first = exception.args[0] if exception.args else None
    return first if isinstance(first, KafkaError) else None


def said(error: KafkaError | None) -> str:
    """What the library says, without the names of its threads and its own advice."""
    return "nothing that says why" if error is None else error.str().rstrip(".")


def not_published(error: KafkaError, topic: str) -> MinuetError:
    """Why a message is not with the broker, as the relay tells apart: this one is refused, or the broker is away."""
    if error.code() in LARGE:
        return PayloadTooLarge(
            f"Kafka refused a message on the topic {topic} for its size: {said(error)}. Raise the topic's "
            "max.message.bytes, or put the large part where both sides can reach it."
        )
    if error.code() in REFUSED:
        return MinuetError(f"Kafka refused a message on the topic {topic}: {said(error)}.")
    return BrokerUnavailable(f"A message on the topic {topic} was not acknowledged by Kafka: {said(error)}.")
