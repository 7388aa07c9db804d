"""The pages of the docs, and the commands that they tell their readers to run."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]

_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
# A prompt, variables and the folder of the environment may stand before a command.
_COMMAND = re.compile(r"^(?P<prompt>\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?P<command>(?:copl|make|python) .*)$")


@dataclass(frozen=True)
class Command:
    """A command on a page.

    Attributes:
        page: The page, seen from the repository.
        words: The command's words, options that a page shows in brackets left out.
        optional: Options in brackets.
        output: What the page says it prints; empty if it says nothing.
    """

    page: str
    words: Sequence[str]
    optional: Sequence[str]
    output: Sequence[str]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def blocks(page: Path, language: str = "") -> list[str]:
    """Fenced blocks of a language; those with commands name none."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, of, text in found if of == language]


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _BLOCK.sub("", page.read_text(encoding="utf-8"))


def commands(page: Path) -> Iterator[Command]:
    """All commands in fenced blocks of a page."""
    name = str(page.relative_to(ROOT))
    for block in blocks(page):
        lines = block.replace("\\\n", " ").splitlines()
        matches = [_COMMAND.match(line) for line in lines]
        for number, match in enumerate(matches):
            if match is None or not _is_command(match, matches):
                continue
            text = match["command"]
            optional = re.findall(r"--[\w-]+", " ".join(re.findall(r"\[.*?\]", text)))
            words = shlex.split(re.sub(r"\[.*?\]", "", text), comments=True)
            following = next((n for n in range(number + 1, len(lines)) if lines[n].startswith("$ ")), len(lines))
            output = lines[number + 1 : following] if match["prompt"] else []
            yield Command(name, words, optional, output)


def _is_command(match: re.Match[str], matches: Sequence[re.Match[str] | None]) -> bool:
    """Whether a line is one, not output below a line with a prompt, and no message such as ``copl train: ...``."""
    prompted = any(other is not None and other["prompt"] for other in matches)
    return (bool(match["prompt"]) or not prompted) and not re.match(r"copl \w+:", match["command"])
