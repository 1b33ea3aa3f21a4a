"""Limits for plain prose: hits per 1,000 words of documents, docstrings, comments, messages and templates.

`python -m tests.architecture.test_plain_words` prints the figures and exits 1 beyond a limit. The categories are:
wh (a bare clause with "what" or "who" as subject or object), inverted (a conditional without "if", a sentence without
a verb), coined (words with a private meaning), long (sentences over 30 words) and modules (forbidden file names).
Word lists, limits and examples are in `plain_words.json`.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Final

import pytest

from tests.architecture.source import ROOT, Function, kept_files

Block = tuple[int, str]
Record = Callable[[str, object], None]

LISTS: Final = json.loads((Path(__file__).parent / "plain_words.json").read_text(encoding="utf-8"))
LIMITS: Final[dict[str, float]] = LISTS["limits"]
SENTENCE_WORDS_MAX: Final = 30
#: Subjects are read since this tag. Without it, the latest ones are read.
TAG, SUBJECTS_MAX, SUBJECTS = "before-house", 50, "(subjects)"

#: Name → a pattern, of the rules and of the places where prose is found.
_PATTERNS: Final = {name: re.compile(pattern) for name, pattern in LISTS["patterns"].items()}
#: Applied to lower case, which is faster than ignoring the case.
_COINED: Final = re.compile(rf"\b(?:{'|'.join(LISTS['coined'])})(?!\w)")


def plain(text: str) -> str:
    """Replace code, links and markup by plain words."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)|<!--.*?-->", " ", text, flags=re.DOTALL)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r":[a-z:]+:`[^`]*`|``[^`]+``|`[^`]+`_{0,2}", "Code", text)
    return re.sub(r"\*\*|__", "", re.sub(r"https?://\S+|<[^>]{1,200}>|\[\[?[^\]]*\]\]?", " ", text))


def words_of(text: str) -> list[str]:
    """Return the words of a text."""
    return _PATTERNS["word"].findall(text)


def document_blocks(text: str, docstring: bool = False) -> Iterator[Block]:
    """Yield (line, text) of paragraphs, list items, headings and table cells, without code."""
    block, start, fence, code = [], 1, False, None
    for number, line in enumerate([*text.splitlines(), ""], 1):
        bare, indent = line.strip(), len(line) - len(line.lstrip())
        fence ^= bare.startswith(("```", "~~~"))
        if code is not None and bare and indent <= code:
            code = None
        left_out = fence or code is not None or _PATTERNS["no_text"].match(bare)
        if docstring and (bare.endswith("::") or bare.startswith(".. ")):
            code = indent
        item = _PATTERNS["list_item"].match(bare)
        if block and (not bare or left_out or item or bare.startswith("|")):
            yield start, " ".join(block)
            block.clear()
        if bare.startswith("|") and not left_out:
            yield from ((number, cell.strip()) for cell in bare.strip("|").split("|") if len(cell.split()) > 2)
        elif bare and not left_out:
            start = start if block else number
            block.append(bare[item.end() :] if item else bare)


def python_blocks(source: str) -> Iterator[Block]:
    """Yield (line, text) of docstrings, comments and string constants that read as sentences."""
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | Function) and (doc := ast.get_docstring(node)):
            docstrings.add(node.body[0].value)
            first, doc = node.body[0].lineno - 1, _PATTERNS["section"].sub("", doc)
            yield from ((first + line, block) for line, block in document_blocks(doc, True))
        elif isinstance(node, ast.Constant) and isinstance(text := node.value, str) and node not in docstrings:
            is_sentence = len(text.split()) > 3 and not _PATTERNS["statement"].search(text)
            yield from [(node.lineno, text.strip())] if is_sentence else []
    yield from comment_blocks(source)


def comment_blocks(text: str) -> Iterator[Block]:
    """Yield (line, text) of each run of comment lines."""
    run, start, last, line, position = [], 0, 0, 1, 0
    for match in _PATTERNS["comment"].finditer(text):
        words = (match[1] or "").lstrip("#!: ")
        if len(words.split()) < 3:
            continue
        line, position = line + text.count("\n", position, match.start()), match.start()
        if run and line != last + 1:
            yield start, " ".join(run)
            run = []
        last = line
        if not _PATTERNS["remark"].match(words):
            start = start if run else line
            run.append(words)
    if run:
        yield start, " ".join(run)


def template_blocks(text: str) -> Iterator[Block]:
    """Yield (line, text) of the visible text of a template."""
    text = _PATTERNS["hidden"].sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, line in enumerate(text.splitlines(), 1):
        shown = re.sub(r"<[^>]*>", "", _PATTERNS["element"].sub("\x00", line))
        for part in re.sub(r"{{.*?}}", "Value", shown).split("\x00"):
            if len(words_of(part)) > 2 and not re.search(r"[{}=]", part):
                yield number, part.strip()


def value_blocks(text: str) -> Iterator[Block]:
    """Yield (line, text) of the values of a .toml file."""
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.search(r"=\s*[\"'](.+)[\"']\s*,?$", line):
            value = re.sub(r"{[^}]*}", "Value", match[1])
            if len(words_of(value)) > 3:
                yield number, value.strip()


#: Suffix of a file → the function that yields its prose.
READERS: Final[dict[str, Callable[[str], Iterator[Block]]]] = {
    **dict.fromkeys((".html", ".j2"), template_blocks),
    **dict(zip((".py", ".md", ".toml"), (python_blocks, document_blocks, value_blocks), strict=True)),
}


@dataclass(frozen=True, slots=True)
class Hit:
    """A sentence that breaks a rule, and the words that break it."""

    category: str
    words: str
    sentence: str


def find_hits(block: str) -> Iterator[Hit]:
    """Yield the hits in one block of prose."""
    for sentence in map(str.strip, _PATTERNS["split"].split(plain(block))):
        if (count := len(words_of(sentence))) > SENTENCE_WORDS_MAX:
            yield Hit("long", f"{count} words", sentence)
        yield from (Hit("coined", match[0], sentence) for match in _COINED.finditer(sentence.lower()))
        clean, question = sentence.strip("*_\"'“ "), sentence.rstrip(')*"” ').endswith("?")
        if match := _PATTERNS["verbless"].match(sentence) or (not question and _PATTERNS["inverted"].search(clean)):
            yield Hit("inverted", match[0], sentence)
        pronouns = [] if question else [*_PATTERNS["what"].finditer(clean), *_PATTERNS["who"].finditer(clean)]
        yield from (Hit("wh", match[1], sentence) for match in pronouns if is_bare(match))


def is_bare(match: re.Match[str]) -> bool:
    """Return whether the clause of this pronoun is neither an indirect question nor an ordinary relative clause."""
    text, word = match.string[: match.start(1)], match[1].lower()
    before = ["", *words_of(text.lower())]
    if before[-1] in LISTS["asks"] or (word == "whatever" and re.search(r"(,|\bno|\bor) *$", text)):
        return False
    joined = before[-1] in ("and", "or", "but") and "who" in before
    return word != "who" or not (joined or before[-1] in ("that", "those"))


@dataclass
class Figures:
    """The words and hits of each measured file."""

    words: Counter[str] = field(default_factory=Counter)
    hits: list[tuple[str, int, Hit]] = field(default_factory=list)

    def add(self, name: str, blocks: Iterable[Block]) -> None:
        """Measure the prose of one file and check the name of a module."""
        for line, block in blocks:
            self.words[name] += len(words_of(plain(block)))
            self.hits += [(name, line, hit) for hit in find_hits(block)]
        if name.endswith(".py") and (stem := PurePosixPath(name).stem) in LISTS["forbidden_modules"]:
            self.hits.append((name, 1, Hit("modules", stem, "")))

    def figure(self, category: str, name: str | None = None) -> float:
        """Return hits per 1,000 words, of one file or of all; of forbidden module names, the count."""
        count = sum(hit.category == category and name in (None, file) for file, _, hit in self.hits)
        words = self.words[name] if name else self.words.total()
        return count if category == "modules" else round(1000 * count / max(words, 1), 2)

    def excess(self) -> list[str]:
        """Return the categories beyond their limits."""
        return [category for category, limit in LIMITS.items() if self.figure(category) > limit]


@cache
def measure_tree() -> Figures:
    """Measure all files of the repository and the subjects of commits."""
    figures = Figures()
    for path in kept_files():
        name = str(path.relative_to(ROOT))
        if path.suffix in READERS and name not in LISTS["exempt"]:
            figures.add(name, READERS[path.suffix](path.read_text(encoding="utf-8")))
    figures.add(SUBJECTS, enumerate((re.sub(r"^[\w/., -]{1,30}:", "", each).strip() for each in commit_subjects()), 1))
    return figures


def commit_subjects() -> list[str]:
    """Read the subjects since the tag, or the latest ones if the tag does not exist."""
    for revisions in (f"{TAG}..HEAD", f"-{SUBJECTS_MAX}"):
        command = ["git", "-C", str(ROOT), "log", "--no-merges", "--format=%s", revisions]
        if (result := subprocess.run(command, capture_output=True, text=True)).returncode == 0:
            break
    return result.stdout.splitlines()


def main() -> int:
    """Print the worst files, the figures and the hits beyond a limit."""
    figures, categories = measure_tree(), [each for each in LIMITS if each != "modules"]
    counts = Counter(name for name, _, _ in figures.hits)
    long_enough = [name for name, words in figures.words.items() if words >= 150]
    worst = sorted(long_enough, key=lambda name: -counts[name] / figures.words[name])[:15]
    print("".join(f"{each:>10}" for each in ("words", *categories)))
    for name in (*worst, None):
        words = figures.words[name] if name else figures.words.total()
        row = [words, *(figures.figure(each, name) for each in categories)]
        print("".join(f"{each:>10}" for each in row), name or "in total", sep="  ")
    for category in figures.excess():
        print(f"{category}: {figures.figure(category)} is over its limit {LIMITS[category]}")
        found = [each for each in figures.hits if each[2].category == category]
        found.sort(key=lambda each: -counts[each[0]])
        print(*(f"  {name}:{line}: {hit.words}: {hit.sentence[:100]}" for name, line, hit in found[:30]), sep="\n")
    return int(bool(figures.excess()))


@pytest.mark.parametrize("category", LIMITS)
def test_the_tree_keeps_the_limit(category: str, record_property: Record) -> None:
    record_property(category, measure_tree().figure(category))
    assert measure_tree().words.total() > 100_000
    assert measure_tree().figure(category) <= LIMITS[category]


@pytest.mark.parametrize("category", LISTS["planted"])
def test_a_planted_excess_is_found(category: str) -> None:
    figures = Figures()
    figures.add("planted.md", [(1, " ".join([LISTS["planted"][category]] * 40))])
    assert figures.excess() == [category]


def test_a_planted_module_name_is_found() -> None:
    figures = Figures()
    for name in ("beside", "inbox"):
        figures.add(f"shared/features/{name}.py", [])
    assert figures.excess() == ["modules"]
    assert [name for name, _, _ in figures.hits] == ["shared/features/beside.py"]


@pytest.mark.parametrize(("name", "text", "line"), LISTS["places"])
def test_every_kind_of_prose_is_read(name: str, text: str, line: int) -> None:
    figures = Figures()
    figures.add(name, READERS[PurePosixPath(name).suffix](text.format("The sender loses what changed.")))
    assert [(each, hit.category) for _, each, hit in figures.hits] == [(line, "wh")]


@pytest.mark.parametrize(("sentence", "category"), LISTS["hits"])
def test_a_riddle_is_a_hit(sentence: str, category: str) -> None:
    assert [hit.category for hit in find_hits(sentence)] == [category]


@pytest.mark.parametrize("sentence", LISTS["ordinary"])
def test_ordinary_english_is_no_hit(sentence: str) -> None:
    assert list(find_hits(sentence)) == []


if __name__ == "__main__":
    sys.exit(main())
