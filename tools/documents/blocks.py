"""A Markdown document as a list of its fenced blocks. Pure: text in, values out."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FENCED = re.compile(r"^```(?P<info>[^`\n]*)\n(?P<text>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
_UNSTABLE = re.compile(
    r"(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{12,}\b)"
    r"|(?P<number>\d[\d,]*(\.\d+)?( (ms|s|min|h|d)\b)?)"
    r"|(?P<blank>[ \t─━═-]+)"
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the words after it on the opening line, its text and that text's place.

    `start` and `end` are offsets of the text in the document, `line` is the number of its first line.
    """

    language: str
    words: tuple[str, ...]
    text: str
    start: int
    end: int
    line: int


@dataclass(frozen=True)
class Command:
    """A command of a console block, without its prompt, and the output that the document shows below it."""

    line: str
    output: str


def blocks_of(document: str) -> Iterator[Block]:
    """The fenced blocks of a document, in order."""
    for match in _FENCED.finditer(document):
        language, *words = match["info"].split() or [""]
        start, end = match.span("text")
        yield Block(language, tuple(words), match["text"], start, end, document.count("\n", 0, start) + 1)


def commands_of(block: Block) -> Iterator[Command]:
    """The commands of a console block. Each begins with a line `$ command`; what follows is its output."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        line, _, output = part.partition("\n")
        yield Command(line, output)


def console(commands: Sequence[Command]) -> str:
    """The text of a console block that shows these commands."""
    return "".join(f"$ {command.line}\n{command.output}" for command in commands)


def rewritten(document: str, texts: Sequence[tuple[Block, str]]) -> str:
    """The document with the given blocks' texts in place of theirs; the blocks are its own, in order."""
    for block, text in reversed(texts):
        document = document[: block.start] + text + document[block.end :]
    return document


def blurred(output: str) -> str:
    """The output with its ids, numbers and times made equal, and each run of blanks or rules made one blank.

    Two outputs of a command that measures time, or makes ids, are equal after this if they say the same.
    """
    return "\n".join(_UNSTABLE.sub(_blur, line).strip() for line in output.splitlines())


def tidy(output: str) -> str:
    """The output as a document shows it: no blanks at the ends of lines, no empty lines at its end."""
    lines = [line.rstrip() for line in output.splitlines()]
    text = "\n".join(lines).strip("\n")
    return text + "\n" if text else ""


def same(shown: str, came: str, *, unstable: bool) -> bool:
    """Whether the output that a document shows is the one that came; `unstable` compares them blurred."""
    return blurred(shown) == blurred(came) if unstable else shown == came


def _blur(match: re.Match[str]) -> str:
    return {"id": "id", "number": "0", "blank": " "}[str(match.lastgroup)]
