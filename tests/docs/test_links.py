"""Links between the repository's own pages lead somewhere."""

import re
from pathlib import Path

import pytest

from tools.documents.__main__ import ROOT, documents

PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "decisions").glob("*.md"), *documents()})
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(page: Path) -> None:
    """Each relative link names a file of the repository, and its anchor, if any, a heading in it."""
    for link in LINK.findall(FENCED.sub("", page.read_text(encoding="utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}, and there is no such file"
        assert not anchor or anchor in headings(target), f"{page.name} links to {link}, and there is no such heading"


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made of the text."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
