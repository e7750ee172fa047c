"""How an app names itself and its adapters, in its repr and in refusals."""

import pytest

from minuet import App, Service


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("memory://", "memory://"),
        ("sqlite:///shop.db?synchronous=NORMAL", "sqlite:///shop.db"),
        ("sqlite:////var/lib/shop.db", "sqlite:////var/lib/shop.db"),
        ("kafka://user:secret@host:9092/shop", "kafka://host:9092/shop"),
    ],
)
def test_an_app_names_its_adapters_as_they_were_written_and_keeps_their_secrets(url: str, named: str) -> None:
    """Scheme and place stand there as in the URL; credentials and options do not."""
    assert repr(App([Service("orders")], broker=url)) == f"<App of orders on {named} and {named}>"
