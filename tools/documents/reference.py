"""The generated parts of reference pages: words that stand in the code, with what the code says of them."""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

from minuet import App, DeclarationError, Service
from minuet.contracts.terms import Terms
from minuet.core.verdict import Reason
from minuet.errors import Rejected
from minuet.ports.observer import Outcome, Point, Turn

_EXPLAINED = re.compile(r"(?ms)^`(?P<name>\w+)`: (?P<text>.*?)(?=^`\w+`: |^$|\Z)")


def contract_keywords() -> str:
    """The keywords of an event's class, as the contract's terms explain them."""
    return table(("keyword", "meaning"), [(f"`{name}`", text) for name, text in explained(Terms)])


def reaction_keywords() -> str:
    """The keywords of `@service.reaction`, with their defaults."""
    return table(("keyword", "default", "meaning"), settings(Service.reaction))


def app_settings() -> str:
    """The parameters of App, with their defaults."""
    return table(("parameter", "default", "meaning"), settings(App))


def observer_points() -> str:
    """The points of a turn, in its order."""
    return table(("point", "meaning"), members(Point))


def turn_facts() -> str:
    """What an observer is told of a turn."""
    told = dict(explained(Turn))
    return table(("field", "meaning"), [(f"`{name}`", told.get(name, "")) for name in Turn.__struct_fields__])


def outcomes() -> str:
    """How a turn may end."""
    return ", ".join(f"`{outcome}`" for outcome in Outcome) + "."


def dead_letter_reasons() -> str:
    """Every reason for which a delivery is given up: those of failed attempts, then those of the data itself."""
    rows = [*members(Reason)]
    for kind in Rejected.__subclasses__():
        what, _, reasons = inspect.cleandoc(kind.__doc__ or "").partition("Reason ")
        for reason, why in re.findall(r"`(\w+)`(?: \(([^)]*)\))?", reasons):
            rows.append((f"`{reason}`", f"{_line(what)} Here: {why}." if why else _line(what)))
    return table(("reason", "meaning"), rows)


def refusals() -> str:
    """Every signature that is refused, with the sentence that refuses it: those that the tests declare."""
    # By name, because the tests are not checked as strictly as the tools.
    wrong: list[tuple[Callable[..., object], str]] = importlib.import_module(
        "tests.unit.service.test_refusals"
    ).REFUSALS
    lines: list[str] = []
    said: set[str] = set()
    for function, _ in wrong:
        fault, _, advice = _refusal(function).partition(". ")
        again = advice in said
        said.add(advice)
        lines.append(f"- `{_head(function)}`: {fault}." + (f" {advice}." if advice and not again else ""))
    return "\n".join(lines)


def _refusal(function: Callable[..., object]) -> str:
    try:
        Service("shipping").reaction(function)
    except DeclarationError as error:
        return error.message.partition(f"{function.__name__} ")[2].removesuffix(".")
    raise ValueError(f"{function.__name__} is not refused, and the tests say that it is")


def _head(function: Callable[..., object]) -> str:
    """A function's `def` line, without the decorators above and the body below."""
    declared = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(declared, (ast.FunctionDef, ast.AsyncFunctionDef))
    declared.decorator_list, declared.body = [], [ast.Pass()]
    return ast.unparse(declared).splitlines()[0].removesuffix(":")


def members(of: type[StrEnum]) -> list[tuple[str, str]]:
    """The members of an enumeration by their values, with the text below each."""
    texts = dict(explained(of))
    return [(f"`{member.value}`", texts[member.name]) for member in of]


def explained(cls: type) -> Iterator[tuple[str, str]]:
    """The names that a class body assigns or annotates, each with the string that stands below it."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    for statement, below in zip(body.body, body.body[1:], strict=False):
        target: ast.expr
        if isinstance(statement, ast.AnnAssign):
            target = statement.target
        elif isinstance(statement, ast.Assign):
            target = statement.targets[0]
        else:
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) and isinstance(below.value.value, str):
            yield ast.unparse(target), _line(below.value.value)


def settings(function: Callable[..., object]) -> list[tuple[str, str, str]]:
    """The parameters that a docstring explains in lines beginning "`name`: ", with their defaults.

    Raises ValueError if a parameter has no such line.
    """
    texts = {match["name"]: _line(match["text"]) for match in _EXPLAINED.finditer(inspect.getdoc(function) or "")}
    rows: list[tuple[str, str, str]] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("self", "function"):
            continue
        if name not in texts:
            raise ValueError(f"the docstring of {function.__qualname__} has no line for `{name}`")
        default = "" if parameter.default is inspect.Parameter.empty else f"`{parameter.default!r}`"
        rows.append((f"`{name}`", default.replace("'", '"'), texts[name]))
    return rows


def _line(text: str) -> str:
    return " ".join(text.split())


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of a document; cells may hold what tables are made of."""
    head = tuple(head)
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
