"""Variables of the environment in URLs: put in whatever they hold, and shown by nobody."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.config import expanded, named, open_broker, open_store
from minuet.errors import StartupError

ANYTHING = st.text(st.characters(codec="utf-8"))


@given(ANYTHING, ANYTHING, ANYTHING)
def test_a_password_may_hold_any_character(user: str, password: str, option: str) -> None:
    """What the environment holds is what the adapter reads, host and path where they were."""
    url = expanded(
        "postgres://${USER_NAME}:${PASSWORD}@db:5432/shop?password=${OPTION}&pool=3",
        {"USER_NAME": user, "PASSWORD": password, "OPTION": option},
    )
    parts = urlsplit(url)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, password)
    assert (parts.hostname, parts.port, parts.path) == ("db", 5432, "/shop")
    assert parse_qs(parts.query, keep_blank_values=True) == {"password": [option], "pool": ["3"]}


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("postgres://u@${PLACE}/${NAME}", "postgres://u@db:5432/shop"),
        ("kafka://${SEVERAL}", "kafka://one:9092,two:9092"),
        ("sqlite:///${FOLDER}/shop.db", "sqlite:////var/lib/shop.db"),
        ("${WHOLE}", "postgres://u:p%40@db/shop?pool=3"),
        ("${SERVER}/${NAME}", "postgres://u:p@db/shop"),
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("postgres://u:$PLACE@db/shop", "postgres://u:$PLACE@db/shop"),
    ],
)
def test_a_variable_may_stand_anywhere(url: str, found: str) -> None:
    """As host with its port, as hosts, as a path, as a whole URL; without braces it is no variable."""
    variables = {
        "PLACE": "db:5432",
        "NAME": "shop",
        "SEVERAL": "one:9092,two:9092",
        "FOLDER": "/var/lib",
        "WHOLE": "postgres://u:p%40@db/shop?pool=3",
        "SERVER": "postgres://u:p@db",
    }
    assert expanded(url, variables) == found


def test_a_value_is_not_expanded_again() -> None:
    """A password that looks like a variable is a password."""
    assert expanded("postgres://u:${A}@db", {"A": "${B}"}) == "postgres://u:%24%7BB%7D@db"


@pytest.mark.parametrize("opens", [open_broker, open_store])
def test_a_variable_that_is_missing_is_named(opens, monkeypatch) -> None:
    """Before anything is connected, with the place and without the rest of the credentials."""
    monkeypatch.delenv("SHOP_PASSWORD", raising=False)
    with pytest.raises(StartupError) as refused:
        opens("postgres://secret:${SHOP_PASSWORD}@db/shop?sslpassword=secret")
    assert str(refused.value) == (
        "postgres://db/shop takes ${SHOP_PASSWORD} from the environment, which has no SHOP_PASSWORD. Set it, or write "
        "the value."
    )


@pytest.mark.parametrize("url", ["postgres://u:${secret-x@db/shop", "postgres://u:${}@db/secret?x=${secret"])
def test_a_brace_without_a_name_is_refused(url) -> None:
    """A password with `${` in it is told how to be written, and not shown."""
    with pytest.raises(StartupError, match="Write \\$\\{NAME\\}, or %24%7B") as refused:
        expanded(url, {})
    assert "secret-x" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://user:[secret@db/shop",
        "postgres://user:se\uff0fcret\uff03secret@db/shop",
        "postgress://user:secret@db/shop",
        "postgres://user:secret@db/shop?pool=many",
        "postgres://user:secret@db:port/shop?nonsense=secret",
        "postgres://user:secret",
        "rabbitmq://user:s3#secret@broker/",
        "rabbitmq://user:12#secret@broker/",
        "rabbitmq://user:s3/secret@broker/",
        "rabbitmq://user:12?secret@broker/",
        "postgres://user:12#secret@db/shop",
        "kafka://user:s3#secret@broker",
        "sqlite://user:secret@shop.db",
        "sqlite:///shop.db?password=secret",
    ],
)
@pytest.mark.parametrize("opens", [open_broker, open_store])
def test_a_url_that_cannot_be_read_is_refused_without_its_secrets(opens, url) -> None:
    """Wrong schemes, options and characters are told in prose; neither URL nor driver's text is repeated."""
    with pytest.raises(StartupError) as refused:
        opens(url)
    error: BaseException | None = refused.value
    while error is not None:
        assert "secret" not in f"{error} {error!r}"
        error = error.__cause__
    assert "secret" not in named(url)


@pytest.mark.parametrize("scheme", ["rabbitmq", "kafka", "postgres"])
@pytest.mark.parametrize("sign", ["#", "/", "?", "["])
def test_a_password_that_cuts_its_url_short_is_told_what_to_do(scheme, sign) -> None:
    """It is to be percent-encoded, or to come from a variable; and so is one that ends in digits like a port."""
    for before in ("s3c", *(("12",) if sign in "#?" else ())):
        with pytest.raises(StartupError) as refused:
            open_broker(f"{scheme}://u:{before}{sign}fish@host")
        assert "percent-encoding, %40 for @, %23 for #, or the value as ${NAME}" in str(refused.value)
        assert "fish" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["rabbitmq://host/v@host", "kafka://one:9092,two:9092", "postgres://[::1]/db?user=me@here"]
)
def test_an_at_sign_elsewhere_is_no_password(url) -> None:
    """A path or an option may have one, where the host can be read."""
    open_broker(url)
