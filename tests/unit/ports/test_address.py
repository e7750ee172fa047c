"""What is shown of a URL: where it leads, and nothing that lets anybody in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.ports.address import without_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgres://shop@db:5432/shop", "postgres://db:5432/shop"),
        ("postgres://u:p@[::1]:5432/shop?sslpassword=x", "postgres://[::1]:5432/shop"),
        ("kafka://u:p@one:9092,two:9092", "kafka://one:9092,two:9092"),
        ("postgres://u:${PASSWORD}@${HOST}:${PORT}/shop", "postgres://${HOST}:${PORT}/shop"),
        ("${DATABASE_URL}", "${DATABASE_URL}"),
        ("memory://", "memory://"),
        ("sqlite:////srv/me@work/shop.db?synchronous=NORMAL", "sqlite:////srv/me@work/shop.db"),
        ("postgres://u:top", "postgres://u:…"),
        ("postgres://u:to?p@db/shop", "postgres://…"),
        ("postgres://u:to#p@db/shop", "postgres://…"),
        ("postgres://u:to[p/@:@db/shop", "postgres://db/shop"),
        ("shop.db", "shop.db"),
    ],
)
def test_a_url_is_shown_as_a_place(url: str, shown: str) -> None:
    """Scheme, hosts and path, as they are written; a file's path may hold an @."""
    assert without_secrets(url) == shown


@given(st.text(st.characters(codec="utf-8", exclude_characters="s"), min_size=1), st.sampled_from(["", "?a=b", "#c"]))
def test_no_password_is_shown_whatever_is_in_it(noise: str, end: str) -> None:
    """Whoever forgot to percent-encode a password is not punished by its being printed."""
    for password in (f"secret{noise}", f"{noise}secret", f"sec{noise}secret"):
        assert "secret" not in without_secrets(f"postgres://user:{password}@host/db{end}")
        assert "secret" not in without_secrets(f"kafka://host?sasl_password={password}{end}")
