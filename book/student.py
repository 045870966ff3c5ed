"""The chapters as notebooks to work in: no solutions, no outputs, and nothing that needs Sphinx.

python book/student.py                     build/student/: to work in here, and to hand out
python book/student.py --overwrite         also the copies that may have been worked on
python book/student.py --seed 17           build/student-17/: with a language of their own
python book/student.py --names class.txt   build/students/NAME/: one for each name, a line each
python book/student.py --publish           student/: what Colab and Binder open

With a seed every exercise is tried on cases that the seed draws, and eight chapters end with a
question about `language(seed)` and `tiny(seed)`, whose numbers nobody else has.

JupyterLab, Colab and GitHub know plain Markdown and TeX. What a chapter says in MyST is put in
these words, with the numbers of the book.
"""

import argparse
import copy
import re
from collections import Counter
from functools import cache
from pathlib import Path

import chapters
import jupytext
import nbformat
import yaml
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from numbering import chapter
from pybtex.database import parse_file
from pybtex.plugin import find_plugin

from nanoparadigm import InputError
from nanoparadigm.exercises import QUESTIONS
from nanoparadigm.exercises.yours import people_in

ROOT = chapters.BOOK.parent
STUDENT = ROOT / "build" / "student"
PUBLISHED = ROOT / "student"

START = """\
# nanoParadigm, to work in

Each chapter asks one question, answers it in small steps that you can run and change, and ends with
exercises. Run the cells from the top, with Shift+Enter. An exercise is a function to write; `check`
below it says whether it is right, and if it is wrong in one of the usual ways, which.

{chapters}
"""

OWN = """\
> **Your own seed is {seed}.** The text speaks of the book's language, so that its numbers are
> right. Your exercises are tried on cases that nobody else has.
"""
ASKED = """\
**About your own language.** The book's language is `language()`, and its tiny one is `tiny()`.
Yours have the same words and other probabilities: `language({seed})` and `tiny({seed})`. Use what
you like, also the library. {text} Give four digits after the point.
"""
ANSWER = """\
from nanoparadigm.language import language, tiny


def my_numbers():
    ...


check("{name}", my_numbers, seed={seed})"""

# What Markdown has wherever notebooks are shown; a copy holds nothing else.
PLAIN = re.compile(
    r"(paragraph|heading|(bullet|ordered)_list|list_item|blockquote|em|strong|link"
    r"|table|t(head|body|r|h|d))_(open|close)"
    r"|text|softbreak|hardbreak|hr|inline|code_inline|code_block|fence|math_inline|math_block"
)
CHECK = re.compile(r"""(check\(["']\w+["'], \w+)\)""")
# What writes in a page, and what makes it write in a notebook.
LIVE = re.compile(
    r"(?:^<script [^>]*race\.js[^>]*></script>\n)?^<nano-race ([^>]*)>.*?^</nano-race>", re.M | re.S
)
RACE = "from nanoparadigm.show.live import race\n\nrace({})"
SOLUTION, SOLVED = "```{solution-start}", "```{solution-end}\n```"
WHOLE = re.compile(rf"{re.escape(SOLUTION)}.*?{re.escape(SOLVED)}\n*", re.DOTALL)
UNSEEN = {"myst_line_comment", "myst_block_break", "myst_target"}


@cache
def config():
    return yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))


@cache
def parser():
    extensions = set(config()["parse"]["myst_enable_extensions"])
    return create_md_parser(MdParserConfig(enable_extensions=extensions), RendererHTML)


def directive(token):
    """Its name and what stands behind it, both empty where a token is no directive."""
    found = re.match(r"\{([\w:-]+)\}\s*(.*)", token.info) if "fence" in token.type else None
    return found.groups() if found else ("", "")


def option(token, name):
    """An option of a directive, such as `:label:`, or None."""
    found = re.search(rf"^:{name}:\s*(.+)$", token.content, flags=re.M)
    return found and found[1].strip()


def labels(notebook):
    """Every (kind, label) of an equation, exercise or figure, in the order of the page."""
    for cell in notebook.cells:
        if name := captioned(cell).get("name"):
            yield "figure", name
        for token in parser().parse(cell.source) if cell.cell_type == "markdown" else ():
            if token.type == "math_block_label":
                yield "equation", token.info
            elif directive(token)[0] == "exercise-start":
                yield "exercise", option(token, "label")


def captioned(cell):
    """What a code cell says of its figure: its name and caption, or nothing."""
    return cell.metadata.get("mystnb", {}).get("figure", {})


@cache
def numbers():
    """label -> (page, number), as book/numbering.py counts them: 4.3 is the third of chapter 4."""
    found, counts = {}, Counter()
    toc = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    for page in re.findall(r"^(?:root:|.*file:)\s*(\S+)", toc, re.M):
        for kind, label in labels(jupytext.read(ROOT / f"{page}.md", fmt="md:myst")):
            within = chapter(page)
            counts[kind, within] += 1
            number = counts[kind, within]
            found[label] = Path(page).name, f"{within}.{number}" if within else f"{number}"
    return found


@cache
def references():
    """key -> (authors, year, entry in Markdown) of every work, in the order of their authors."""
    entries = parse_file(ROOT / "book" / "references.bib").entries
    style = find_plugin("pybtex.style.formatting", "plain")()
    backend = find_plugin("pybtex.backends", "markdown")()
    found, seen = {}, {}
    for formatted in style.format_entries(entries.values()):
        entry = entries[formatted.key]
        people = entry.persons["author"]
        names = [" ".join(map(str, p.rich_prelast_names + p.rich_last_names)) for p in people]
        authors = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
        year = entry.fields["year"]
        seen.setdefault((authors, year), []).append(formatted.key)
        found[formatted.key] = authors, year, " ".join(formatted.text.render(backend).split())
    for keys in seen.values():  # two works of one year: 2022a and 2022b
        for key, letter in zip(keys, "abcdefgh" if len(keys) > 1 else "", strict=False):
            authors, year, text = found[key]
            found[key] = authors, year + letter, text
    return found


def cite(keys, before):
    """(Authors, year; ...), or (year) where the words before it have named the authors."""
    works = [references()[key.strip()][:2] for key in keys.split(",")]
    named = re.search(r"(.*?)('s)?\s*$", " ".join(before.split()))[1]
    if len(works) == 1 and named.endswith(works[0][0]):
        return f"({works[0][1]})"
    return "(" + "; ".join(", ".join(work) for work in works) + ")"


def reworded(source, here):
    """Markdown with neither MyST nor a link that leads out of the copies.

    here: the labels of this copy's own equations and exercises. Raises ValueError for MyST that it
    cannot put in other words: better no copy than one that shows its markup."""

    def role(match):
        name, content = match.groups()
        if name == "cite":
            return cite(content, match.string[: match.start()])
        if name not in ("eq", "ref", "numref") or content not in numbers():
            return match[0]
        page, number = numbers()[content]
        kind = "Fig." if content.startswith("fig-") else "Exercise"
        word = f"({number})" if name == "eq" else f"{kind} {number}"
        return word if content in here else f"[{word}]({page}.ipynb)"

    def link(match):
        words, page = match.groups()
        if (chapters.BOOK / f"{page}.ipynb").exists():
            return f"[{words}]({page}.ipynb)"
        site = config().get("html", {}).get("baseurl")
        return f"[{words}]({site.rstrip('/')}/book/{page}.html)" if site else words

    source = re.sub(r"\{([a-z:]+)\}`([^`]+)`", role, blocks(source))
    source = re.sub(r"\[([^][]+)\]\(([\w-]+)\.md(?:#[\w-]*)?\)", link, source)
    tokens = parser().parse(source)
    for token in tokens + [child for parent in tokens for child in parent.children or []]:
        if not PLAIN.fullmatch(token.type) or directive(token)[0]:
            words = token.info or token.meta.get("name") or token.content
            raise ValueError(f"book/student.py has no plain words for {token.type} {words}")
    return source.strip()


def blocks(source):
    """A cell with its equations, exercises and admonitions in plain Markdown."""
    lines = source.splitlines()
    for token in reversed(parser().parse(source)):
        name, heading = directive(token)
        start, end = token.map or (0, 0)
        if token.type in UNSEEN or name == "exercise-end":
            lines[start:end] = []
        elif token.type == "math_block_label":
            tail = lines[end - 1].rindex("$$")
            indent = re.match(r"[\s>]*", lines[end - 1])[0]
            number = rf"\tag{{{numbers()[token.info][1]}}}"
            lines[end - 1] = f"{lines[end - 1][:tail]}{number}\n{indent}$$"
        elif name == "exercise-start":
            lines[start:end] = [f"**Exercise {numbers()[option(token, 'label')][1]}.**"]
        elif name in ("admonition", "note", "tip", "hint", "important", "warning"):
            text = re.sub(r"\A(:[\w-]+:.*\n)+", "", token.content).strip()
            quoted = [f"**{heading or name.capitalize()}**", "", *text.splitlines()]
            lines[start:end] = [f"> {line}".rstrip() for line in quoted]
    return "\n".join(lines)


def parts(cell):
    """The cell; one in which a model writes in the page becomes several."""
    if cell.cell_type == "code" or not LIVE.search(cell.source):
        yield cell
        return
    for i, text in enumerate(LIVE.split(cell.source)):
        if i % 2:
            asked = ", ".join(
                f"{key}={value}" for key, value in re.findall(r'(\w+)=("[^"]*")', text)
            )
            yield nbformat.v4.new_code_cell(RACE.format(asked))
        else:
            yield nbformat.v4.new_markdown_cell(text.strip())


def student(notebook, launch=False):
    """A chapter without solutions and outputs, in plain Markdown, and the works it cites.

    launch: whether the cell stays that brings the package where it is missing."""
    copied, kept, cited, solving = copy.deepcopy(notebook), [], [], False
    here = {label for _, label in labels(copied)}
    for cell in [part for whole in copied.cells for part in parts(whole)]:
        if solving and SOLVED in cell.source:
            solving = False
            cell.source = cell.source.split(SOLVED, 1)[1].lstrip()
        if solving or ("launch" in cell.metadata.get("tags", []) and not launch):
            continue
        if SOLUTION in cell.source:
            # one in words alone begins and ends in the same cell
            cell.source = WHOLE.sub("", cell.source)
            solving = SOLUTION in cell.source
            cell.source = cell.source.split(SOLUTION)[0].rstrip()
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        else:
            cited += re.findall(r"\{cite\}`([^`]+)`", cell.source)
            cell.source = reworded(cell.source, here)
        if cell.source:
            kept.append(cell)
        if figure := captioned(cell):
            number = numbers()[figure["name"]][1]
            words = f"*Fig. {number}.* {reworded(figure['caption'], here)}"
            kept.append(nbformat.v4.new_markdown_cell(words))
    keys = {key.strip() for keys in cited for key in keys.split(",")}
    works = [work for key, work in references().items() if key in keys]
    if works:
        listed = [f"* {authors} ({year}): {entry}" for authors, year, entry in works]
        kept.append(nbformat.v4.new_markdown_cell("## References\n\n" + "\n".join(listed)))
    copied.cells = kept
    return copied


def private(notebook, page, seed):
    """A copy as that of a seed: its cases, and after the last exercise the question about it."""
    notebook, cells = copy.deepcopy(notebook), []
    last = max(i for i, cell in enumerate(notebook.cells) if exercise(cell))
    for i, cell in enumerate(notebook.cells):
        if exercise(cell):
            cell.source = CHECK.sub(rf"\1, seed={seed})", cell.source)
        cells.append(cell)
        if i == 0:
            cells.append(nbformat.v4.new_markdown_cell(OWN.format(seed=seed).strip()))
        for name, question in QUESTIONS.items() if i == last else ():
            if question.chapter == page:
                text = ASKED.format(seed=seed, text=question.text.format(seed=seed))
                code = ANSWER.format(name=name, seed=seed)
                cells.append(nbformat.v4.new_markdown_cell(text.strip()))
                cells.append(nbformat.v4.new_code_cell(code, metadata={"tags": ["exercise"]}))
    notebook.cells = cells
    notebook.metadata["nanoparadigm"] = {"seed": seed}
    return notebook


def exercise(cell):
    """Whether a cell waits for an answer."""
    return "exercise" in cell.metadata.get("tags", [])


def title(page):
    """A chapter's title and its question."""
    source = (chapters.BOOK / f"{page}.md").read_text(encoding="utf-8")
    whole = re.search(r"^# (.+)$", source, flags=re.M)[1]
    question = re.search(r"\*\*The question\.\*\* (.+?)\n\n", source, flags=re.S)[1]
    return whole, " ".join(question.split())


def start():
    """The page that leads to the copies."""
    listed = []
    for text in chapters.texts():
        name, question = title(text.stem)
        listed.append(f"* [{name}]({text.stem}.ipynb). {question}")
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    words = START.format(chapters="\n".join(listed))
    notebook.cells = [nbformat.v4.new_markdown_cell(words.strip())]
    return notebook


def copies(launch=False):
    """name -> notebook: the page to start from, and every chapter."""
    yield "start.ipynb", start()
    for text in chapters.texts():
        yield text.with_suffix(".ipynb").name, student(jupytext.read(text), launch)


def main():
    raw = argparse.RawTextHelpFormatter
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    arguments.add_argument("--overwrite", action="store_true")
    which = arguments.add_mutually_exclusive_group()
    which.add_argument("--seed", type=int, default=0, help="a whole number; 0 is the book's")
    which.add_argument("--names", type=Path, help="a file with a name in each line")
    which.add_argument("--publish", action="store_true")
    options = arguments.parse_args()
    try:
        if not 0 <= options.seed < 2**31:
            raise InputError(f"seed is {options.seed}: give a whole number from 0 to {2**31 - 1}")
        people = people_in(options.names) if options.names else {}
    except InputError as problem:
        arguments.error(str(problem))
    made = dict(copies(launch=options.publish))
    if options.publish:
        write(made, PUBLISHED, overwrite=True)
    elif not people:
        own = STUDENT.with_name(f"student-{options.seed}") if options.seed else STUDENT
        write(made, own, options.seed, options.overwrite)
    for name, seed in people.items():
        write(made, STUDENT.with_name("students") / name, seed, options.overwrite)


def write(made, folder, seed=0, overwrite=False):
    """Write the copies into a folder, as those of a seed."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, notebook in made.items():
        path = folder / name
        if path.exists() and not overwrite:
            print(f"kept: {path}, which may have been worked on; --overwrite replaces it")
            continue
        own = seed and path.stem != "start"
        chapters.write(private(notebook, path.stem, seed) if own else notebook, path)
        print(f"written: {path}")


if __name__ == "__main__":
    main()
