"""Which statements may go together as one insert of many rows, and what that says."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minuet.databases.postgres.together import SIZES, Insert, insert_of


def inner(insert: Insert, count: int) -> str:
    """The insert itself, of the statement that fails unless it inserts so many rows."""
    begin, end = "WITH minuet_rows AS (", f" RETURNING 1) SELECT 1 / (count(*) = {count})::int FROM minuet_rows"
    sql = insert.rows(count)
    assert sql.startswith(begin)
    assert sql.endswith(end)
    return sql.removeprefix(begin).removesuffix(end)


def test_many_rows_number_their_values_one_after_another() -> None:
    """The second row takes the values that follow those of the first."""
    insert = insert_of("INSERT INTO t (a, b) VALUES ($1, $2) ON CONFLICT (a) DO NOTHING;", 2)
    assert insert is not None
    assert insert.table == "t"
    assert inner(insert, 3) == "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4), ($5, $6) ON CONFLICT (a) DO NOTHING"


def test_constants_and_repeated_values_stay_in_each_row() -> None:
    """What is no placeholder is written again, and a value may be used twice."""
    insert = insert_of("insert into s.t values ($2, 'a $1', 4.5, NULL, $1, $2)", 2)
    assert insert is not None
    assert insert.table == "s.t"
    assert inner(insert, 2) == "insert into s.t values ($2, 'a $1', 4.5, NULL, $1, $2), ($4, 'a $1', 4.5, NULL, $3, $4)"


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE t SET a = $1",
        "INSERT INTO t SELECT $1",
        "INSERT INTO t VALUES ($1) RETURNING a",
        "INSERT INTO t VALUES ($1), ($1)",
        "INSERT INTO t VALUES (nextval($1))",
        "INSERT INTO t VALUES ($1 + 1)",
        "INSERT INTO t VALUES ((SELECT max(a) FROM t))",
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = 1",
        "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = $1",
        "INSERT INTO t VALUES ($1) -- and more",
        "INSERT INTO t VALUES (E'\\'', $1)",
        "INSERT INTO t VALUES ($1); DELETE FROM t",
        "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES ($1)",
        'INSERT INTO "t" VALUES ($1)',
        "WITH w AS (SELECT 1) INSERT INTO t VALUES ($1)",
    ],
)
def test_what_may_mean_something_else_goes_by_itself(sql: str) -> None:
    """Only a plain insert of one row is ever multiplied."""
    assert insert_of(sql, 1) is None


@given(columns=st.integers(1, 1000), size=st.sampled_from(SIZES))
def test_every_value_of_every_row_has_its_own_number(columns: int, size: int) -> None:
    """No two share one, none is left out, and there are as few as PostgreSQL can count."""
    insert = insert_of(f"INSERT INTO t VALUES ({', '.join(f'${n}' for n in range(1, columns + 1))})", columns)
    assert insert is not None
    assert insert.sizes[-1] == 1
    if size in insert.sizes:
        numbers = [int(number) for number in re.findall(r"\$(\d+)", insert.rows(size))]
        assert numbers == list(range(1, columns * size + 1))
        assert len(numbers) < 2**15
