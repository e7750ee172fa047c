"""What the matrix is made of: its pairs, when it strikes, and what its exit status says."""

import random

import pytest

from tools.matrix.__main__ import main, status, table
from tools.matrix.pairs import PAIRS, chosen
from tools.matrix.run import Outcome, Striking
from tools.services.fleet import Services

WELL = {
    "orders": 1, "kills": 1, "retries": 0, "dead_letters": 0, "duplicates_absorbed": 0, "lost": 0, "doubled": 0,
    "balanced": True, "seconds": 1.0,
}  # fmt: skip


def test_the_pairs_are_those_that_are_promised() -> None:
    """PostgreSQL alone, Kafka and RabbitMQ with PostgreSQL, Kafka with SQLite; and each can be run alone."""
    names = [pair.name for pair in PAIRS]
    assert {"postgres", "kafka+postgres", "rabbitmq+postgres", "kafka+sqlite"} <= set(names)
    assert [pair.name for pair in chosen("")] == names
    assert [pair.name for pair in chosen("kafka+sqlite")] == ["kafka+sqlite"]


def test_a_pair_that_there_is_not_is_wrong_use(capsys) -> None:
    """The message names those that there are."""
    with pytest.raises(SystemExit) as refused:
        main(["nats+postgres"])
    assert refused.value.code == 2
    assert "kafka+postgres" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [{"lost": 1}, {"doubled": 1}, {"balanced": False}])
def test_one_run_that_does_not_hold_is_a_failure(wrong) -> None:
    """Whatever the others say; and so is one that broke off."""
    well, bad = Outcome("a", WELL, 1, ""), Outcome("b", {**WELL, **wrong}, 1, "")
    assert status([well], set(), ci=False) == 0
    assert status([well, bad], set(), ci=False) == 1
    assert status([well, Outcome("c", {}, 0, "it ended")], set(), ci=False) == 1
    assert status([well, Outcome("d", WELL, 0, "", missed=1)], set(), ci=False) == 1
    assert table([well, bad]).row_count == 2


def test_servers_that_are_missing_are_told_apart() -> None:
    """What ran holds and something could not run: 3, which in CI is a failure."""
    well = Outcome("a", WELL, 1, "")
    assert status([well], {"b"}, ci=False) == 3
    assert status([well], {"b"}, ci=True) == 1


class Struck(Services):
    """Servers that only remember what was done to them."""

    def __init__(self, directory) -> None:
        super().__init__(directory, servers=[], environment={})
        self.killed: list[str] = []

    def kill(self, name: str) -> str:
        self.killed.append(name)
        return ""

    def restart(self, name: str) -> str:
        return self.kill(f"{name} in order")


def test_servers_are_struck_in_turns_as_the_work_goes_on(tmp_path) -> None:
    """One after the other, in the way that was asked, and none before its share of the work is done."""
    services = Struck(tmp_path)
    strikes = [("kill", "kafka"), ("kill", "postgres"), ("restart", "kafka"), ("restart", "postgres")]
    striking = Striking(strikes, services, random.Random(1), print, most_wait_seconds=0.0)
    for percent, killed in ((10, 0), (17, 1), (30, 1), (35, 2), (60, 3), (70, 4), (100, 4)):
        striking.at(percent)
        striking.wait()
        assert len(services.killed) == killed
    striking.end()
    assert services.killed == ["kafka", "postgres", "kafka in order", "postgres in order"]
    assert striking.done == ["kill", "kill", "restart", "restart"]
