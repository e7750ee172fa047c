"""Performs a document: runs its blocks in order, in a directory of its own, and says what each came to.

What the opening line of a block may say:

- ```` ```python ```` is executed; such blocks of one document share their names, and may await.
- ```` ```python shop.py ```` is written to that file and imported.
- ```` ```python fragment ```` is only compiled; for a few lines whose surroundings the prose tells.
- ```` ```console ```` holds commands after `$ `, each run in a shell and followed by what it printed;
  `unstable` beside it says that numbers and ids differ from run to run, `fails` that the commands end badly.
  `$ cd shop` goes there for the rest of the document.
- ```` ```mermaid $ minuet graph shop:app ````, of any language, holds what that command printed.

Blocks of any other kind are left alone.
"""

import ast
import asyncio
import contextlib
import importlib
import inspect
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from types import CodeType, ModuleType

import minuet
from tools.documents.blocks import Block, Command, blocks_of, commands_of, console, tidy

COMMAND_SECONDS = 300
COLUMNS = 100

SOURCE = Path(minuet.__file__).parents[1]
"""Where minuet is imported from; places in a traceback are told from there on."""

# The module that a document's unnamed Python blocks share.
DOCUMENT = "document"


class BlockFailed(Exception):
    """A block that did not run: says where it stands and what went wrong."""


def performed(document: str) -> list[tuple[Block, str]]:
    """Runs the document's Python blocks and commands, and returns the blocks of the latter with their true texts.

    Raises BlockFailed, naming the block's line, for a command whose exit status is not the one told, and
    whatever a Python block raises.
    """
    texts: list[tuple[Block, str]] = []
    with _stage() as stage:
        names = sys.modules[DOCUMENT] = ModuleType(DOCUMENT)
        for block in blocks_of(document):
            if block.language == "python":
                _python(block, names)
            elif block.language == "console":
                texts.append((block, _console(block, stage)))
            elif block.words[:1] == ("$",):
                texts.append((block, _output(Command(" ".join(block.words[1:]), block.text), block, stage)))
    return texts


def _python(block: Block, names: ModuleType) -> None:
    if block.words and block.words[0].endswith(".py"):
        file = Path(block.words[0])
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text, encoding="utf-8")
        module = ".".join(file.with_suffix("").parts)
        sys.modules.pop(module, None)
        importlib.invalidate_caches()
        importlib.import_module(module)
        return
    # Empty lines above the text make the lines in a traceback those of the document.
    file = Path("document.py").absolute()
    file.write_text("\n" * (block.line - 1) + block.text, encoding="utf-8")
    code = compile(file.read_text(encoding="utf-8"), str(file), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if "fragment" not in block.words:
        _execute(code, names)


def _execute(code: CodeType, names: ModuleType) -> None:
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names.__dict__))  # noqa: S307, the documents are ours
    else:
        exec(code, names.__dict__)  # noqa: S102, the documents are ours


def _console(block: Block, stage: Path) -> str:
    return console([Command(command.line, _output(command, block, stage)) for command in commands_of(block)])


def _output(command: Command, block: Block, stage: Path) -> str:
    if (there := re.fullmatch(r"cd (\S+)", command.line)) is not None:
        os.chdir(there[1])
        sys.path.insert(0, str(Path.cwd()))
        return ""
    done = subprocess.run(  # noqa: S602, the documents are ours
        command.line,
        shell=True,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    if (done.returncode != 0) != ("fails" in block.words):
        raise BlockFailed(
            f"the command `{command.line}` of the block at line {block.line} ended with status"
            f" {done.returncode} and said:\n{done.stdout}"
        )
    output = done.stdout
    for directory in (Path.cwd(), stage, SOURCE):
        output = output.replace(f"{directory}{os.sep}", "")
    return tidy(output)


def _environment() -> dict[str, str]:
    """A terminal without colours, of one width everywhere, which finds the commands of this environment."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    plain = {"COLUMNS": str(COLUMNS), "NO_COLOR": "1", "TERM": "dumb"}
    return os.environ | plain | {"PATH": path, "PYTHONWARNINGS": "error"}


@contextlib.contextmanager
def _stage() -> Generator[Path]:
    """A new directory to work in, whose modules can be imported; all is afterwards as it was."""
    modules, path = set(sys.modules), list(sys.path)
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        directory = Path(name).resolve()
        sys.path.insert(0, str(directory))
        try:
            yield directory
        finally:
            sys.path[:] = path
            for module in [new for new in set(sys.modules) - modules if _is_of(new, directory)]:
                del sys.modules[module]


def _is_of(module: str, directory: Path) -> bool:
    file = getattr(sys.modules[module], "__file__", None)
    return module == DOCUMENT or (file is not None and Path(file).is_relative_to(directory))
