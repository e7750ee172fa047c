"""What the documents' tool reads out of a document."""

import pytest

from tools.documents.blocks import Command, blocks_of, blurred, commands_of, console, rewritten, same, tidy
from tools.documents.performance import BlockFailed, performed

DOCUMENT = """\
# A title

```python shop.py
GREETING = "hello"
```

Then:

```python
import asyncio

from shop import GREETING

await asyncio.sleep(0)
greeting = GREETING + "!"
```

```console
$ echo one
stale
$ printf 'two\\n\\n'
```

```python
assert greeting == "hello!"
```
"""


def test_blocks_know_their_language_their_words_and_their_line() -> None:
    """A block carries what its opening line says, its text, and the line on which that text begins."""
    first, second, third, _ = blocks_of(DOCUMENT)
    assert (first.language, first.words, first.line) == ("python", ("shop.py",), 4)
    assert first.text == 'GREETING = "hello"\n'
    assert (second.language, second.words) == ("python", ())
    assert third.language == "console"


def test_a_console_block_is_commands_each_with_its_output() -> None:
    """Commands follow `$ `; the lines after one, up to the next, are its output; and back again."""
    block = list(blocks_of(DOCUMENT))[2]
    commands = list(commands_of(block))
    assert commands == [Command("echo one", "stale\n"), Command("printf 'two\\n\\n'", "")]
    assert console(commands) == block.text


def test_a_document_is_performed_in_order_and_shows_what_came_out() -> None:
    """Named files can be imported, unnamed blocks share names and may await, outputs are the commands'."""
    [(block, text)] = performed(DOCUMENT)
    assert text == "$ echo one\none\n$ printf 'two\\n\\n'\ntwo\n"
    assert rewritten(DOCUMENT, [(block, text)]) == DOCUMENT.replace("stale\n", "one\n").replace(
        "two\\n\\n'\n", "two\\n\\n'\ntwo\n"
    )


def test_a_document_may_go_elsewhere_and_write_a_file_anew() -> None:
    """After `cd` commands and files are there; a file that is written again is imported again."""
    document = (
        "```console\n$ mkdir -p shop/shop\n$ cd shop\n```\n"
        "```python shop/first.py\nNUMBER = 1\n```\n"
        "```python shop/first.py\nNUMBER = 2\n```\n"
        "```python\nfrom shop.first import NUMBER\n\nassert NUMBER == 2\n```\n"
        "```console\n$ ls shop/first.py\n```\n"
    )
    [_, (_, text)] = performed(document)
    assert text == "$ ls shop/first.py\nshop/first.py\n"


def test_a_python_block_that_fails_fails_the_document() -> None:
    """An error in a block is the document's error."""
    with pytest.raises(ZeroDivisionError):
        performed("```python\n1 / 0\n```\n")


def test_a_command_that_fails_must_be_said_to_fail() -> None:
    """A command's exit status is part of what a document promises."""
    with pytest.raises(BlockFailed, match="line 2 ended with status 3"):
        performed("```console\n$ exit 3\n```\n")
    assert performed("```console fails\n$ exit 3\n```\n")


def test_a_block_of_any_language_may_hold_what_a_command_printed() -> None:
    """The command stands on the block's opening line, after its language."""
    document = "```mermaid $ echo flowchart LR\nstale\n```\n"
    [(block, text)] = performed(document)
    assert rewritten(document, [(block, text)]) == "```mermaid $ echo flowchart LR\nflowchart LR\n```\n"


def test_a_fragment_is_compiled_and_not_run() -> None:
    """A fragment may name what is not there, but must be Python."""
    performed("```python fragment\nawait somebody()\n```\n")
    with pytest.raises(SyntaxError):
        performed("```python fragment\nthis is Python?\n```\n")


def test_unstable_output_is_compared_without_its_numbers_and_ids() -> None:
    """Times, counts and ids may differ in an unstable output; words may not."""
    one = "took 1,234.5 ms   for 0198c5a1-0000-8000-8000-00000000000a\n"
    other = "took 9 s for ffffffff-0000-8000-8000-00000000000b\n"
    assert same(one, other, unstable=True)
    assert not same(one, other, unstable=False)
    assert not same(one, other.replace("took", "lost"), unstable=True)
    assert blurred(one) == "took 0 for id"
    assert same("hash fbd2d3edcfd5\n", "hash 342e65648569\n", unstable=True)


def test_output_is_shown_without_blanks_at_its_edges() -> None:
    """What cannot be seen is not compared."""
    assert tidy("a  \n\n  b\n\n\n") == "a\n\n  b\n"
    assert tidy("\n \n") == ""
