"""What an answered benchmark question says, keeps and shows."""

import json
from pathlib import Path

import pytest

from benchmarks import report, tables
from benchmarks.question import Program, Question, Ratio, Row
from benchmarks.questions import QUESTIONS
from tools.services.fleet import SERVERS

QUESTION = Question(
    name="walk",
    asks="how fast one walks",
    rows=(
        Row("best", "km/h", "on the better road", ("road", "path")),
        Row("road", "km/h"),
        Row("path", "km/h"),
        Row("ours", "km/h", "our way"),
    ),
    programs=(),
    ratios=(Ratio("vs_best", "ours", "best", at_least=0.5), Ratio("vs_absent", "ours", "absent")),
)
RUNS = {"road": [3.0, 9.0, 4.0], "path": [5.0, 6.0, 1.0], "ours": [2.0, 4.0, 3.0], "fsync_before": [100.0]}


@pytest.fixture
def answer() -> report.Answer:
    return report.answered(QUESTION, {"cores": "2", "measured": "today"}, RUNS)


def test_a_row_of_several_repeats_the_one_of_greatest_median(answer: report.Answer) -> None:
    """`best` is the path (median 5), though the road had the single best run."""
    assert answer.medians() == {"best": 5, "road": 4, "path": 5, "ours": 3, "fsync_before": 100}
    assert answer.rows[0].runs == [5.0, 6.0, 1.0]


def test_ratios_divide_medians_and_need_both_rows(answer: report.Answer) -> None:
    """A ratio whose row was left out is left out too."""
    assert answer.ratios == {"vs_best": 0.6}


def test_a_ratio_within_runs_compares_each_run_with_itself() -> None:
    """The machine was twice as fast in the second run, and neither run was slower at its end than at its start."""
    question = Question("walk", "", QUESTION.rows, (), (Ratio("kept", "path", "road", within_runs=True),))
    runs = {"road": [3.0, 9.0, 4.0], "path": [3.0, 9.0, 2.0]}
    assert report.answered(question, {}, runs).ratios == {"kept": 1.0}


def test_the_file_holds_exactly_question_machine_rows_and_ratios(answer: report.Answer, tmp_path: Path) -> None:
    """Other programs read the results, so their form is fixed."""
    kept = json.loads(report.write(answer, tmp_path).read_bytes())
    assert list(kept) == ["question", "machine", "rows", "ratios"]
    assert kept["rows"][1] == {"name": "road", "unit": "km/h", "runs": [3.0, 9.0, 4.0], "median": 4.0}


def test_what_is_written_is_read_back_and_nothing_else_is_left(answer: report.Answer, tmp_path: Path) -> None:
    """Writing replaces the file whole; no unfinished file stays behind."""
    report.write(answer, tmp_path)
    report.write(answer, tmp_path)
    assert report.read(tmp_path) == {"walk": answer}
    assert [file.name for file in tmp_path.iterdir()] == ["walk.json"]


@pytest.mark.parametrize(("value", "kept"), [(0.5, True), (0.49, False)])
def test_a_promise_is_kept_from_its_bound_on(value: float, *, kept: bool) -> None:
    """`at_least` includes the bound."""
    assert QUESTION.ratios[0].kept(value) is kept


def test_a_document_has_its_tables_replaced_between_the_markers_only() -> None:
    """Text outside the markers stays, every marked place is rewritten, and doing it again changes nothing."""
    before = f"a\n{tables.BEGIN}\nold\n{tables.END}\nb\n{tables.BEGIN}{tables.END}\nc\n"
    after = tables.rewritten(before, r"new \1")
    block = f"{tables.BEGIN}\n\nnew \\1\n\n{tables.END}"
    assert after == f"a\n{block}\nb\n{block}\nc\n"
    assert tables.rewritten(after, r"new \1") == after


def test_a_document_without_markers_stays() -> None:
    """Most documents have no speed table."""
    assert tables.rewritten("no markers\n", "new") == "no markers\n"


def test_tables_show_rows_with_a_meaning_and_what_was_promised() -> None:
    """Rows without a meaning are for the results alone."""
    machine = {
        "cores": "2",
        "processor": "P",
        "filesystem": "ext4",
        "python": "3",
        "sqlite": "3",
        "measured": "M",
    }
    shown = tables.speed({"walk": report.answered(QUESTION, machine, RUNS)}, [QUESTION])
    assert "| on the better road | 5 | km/h |" in shown
    assert "| `vs_best` | 0.6 | promised: at least 0.5 |" in shown
    assert "Medians of 3 runs on 2 cores of P, ext4, 100 durable writes/s" in shown
    assert "road | 4" not in shown


def test_a_question_about_servers_names_them_with_their_versions() -> None:
    """SQLite's version says nothing about what PostgreSQL and Kafka did."""
    machine = {
        "cores": "2",
        "processor": "P",
        "filesystem": "ext4",
        "python": "3",
        "sqlite": "3",
        "postgres": "15.18",
        "kafka": "4.4.0",
        "measured": "M",
    }
    shown = tables.speed({"walk": report.answered(QUESTION, machine, RUNS)}, [QUESTION])
    assert "Python 3, PostgreSQL 15.18, Kafka 4.4.0, M." in shown


def test_questions_without_an_answer_yet_are_left_out_of_the_tables() -> None:
    """A new question must not keep the documents from being written."""
    machine = {"cores": "2", "processor": "P", "filesystem": "ext4", "python": "3", "sqlite": "3", "measured": "M"}
    answered = report.answered(QUESTION, machine, RUNS)
    assert tables.speed({"walk": answered}, [*QUESTIONS, QUESTION]) == tables.speed({"walk": answered}, [QUESTION])


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_servers_are_those_that_can_be_started(question: Question) -> None:
    """A server that nobody knows would show only once the measurement begins."""
    assert {server.name for server in SERVERS} >= set(question.servers)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_every_row_is_measured_once_and_every_ratio_is_of_rows(question: Question) -> None:
    """A question that asks for a row no program gives, or a ratio of none, would be quietly unanswered."""
    measured = [row for program in question.programs for row in program.rows]
    assert sorted(measured) == sorted(row.name for row in question.rows if not row.greatest_of)
    names = {row.name for row in question.rows}
    assert {name for ratio in question.ratios for name in (ratio.of, ratio.to)} <= names
    assert question.at_most.keys() <= names


@pytest.mark.parametrize(
    "program",
    [program for question in QUESTIONS for program in question.programs],
    ids=lambda program: program.way,
)
def test_every_program_exists(program: Program) -> None:
    """Programs are named by module, so a typing error would show only in the middle of a measurement."""
    assert (Path(tables.ROOT) / "benchmarks" / "programs" / f"{program.module}.py").is_file()
