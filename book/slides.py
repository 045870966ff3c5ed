"""Slides to teach with: a deck for each chapter, of its figures, equations and exercises.

python book/slides.py                        build/slides/: all decks, which need no network
python book/slides.py book/03-masking.md     this one
python book/slides.py --overwrite            also the decks whose text may have been edited

Open build/slides/index.html. The text of a deck is build/slides/NN-name.md beside it: change it,
and run this again. `---` begins a section, `--` a slide below the last one, and `Note:` what only
the speaker's view shows. The decks are made of the executed chapters, so they show what the tests
have verified; nothing is executed.
"""

import argparse
import ast
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from math import ceil
from pathlib import Path
from string import Template

import assets
import chapters
import inline_svg
import nbformat
from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

import student

SLIDES = student.ROOT / "build" / "slides"
PARTS = chapters.BOOK / "deck"  # the page around the slides, its style, its scripts
MATHJAX, LETTERS = assets.PACKAGES
(REVEAL,) = assets.FOR_SLIDES

ROOM = 11  # lines of a slide, below its heading
EQUATIONS = 2  # of a slide, at most
LINE = 76  # letters of a line, about
LEAD = 240  # letters before an equation, at most
CODE = 9  # lines of a function, at most

LICENCE = (
    "{title}, by {author}: [{site}]({site}). Text and figures are under "
    "[CC BY 4.0](https://creativecommons.org/licenses/by/4.0/), code is under the MIT licence."
)
EDITED = """\
<!-- The text of a deck. Change it and run `make slides` again, which keeps your changes. `---`
begins a section, `--` a slide below the last one, `Note:` what only the speaker's view shows. -->
"""


# A chapter becomes items


@dataclass
class Item:
    """What stands in a chapter, of a kind that Markdown has, or a figure, view or stub.

    name: of the file of a figure or view, or of the exercise; alt: the figure in words; points: of
    a list.
    """

    kind: str
    source: str
    level: int = 0
    name: str = ""
    alt: str = ""
    caption: str = ""
    points: list = field(default_factory=list)


def items(notebook, page):
    """Yield the items of an executed chapter, without solutions, with the numbers of the book."""
    outputs = {cell.id: cell.get("outputs", []) for cell in notebook.cells}
    cells, caption = student.student(notebook).cells, False
    for cell, after in zip(cells, [*cells[1:], None], strict=True):
        if cell.cell_type == "markdown" and not caption:
            yield from written(published(cell.source))
        caption = bool(student.captioned(cell))
        if "exercise" in cell.metadata.get("tags", []):
            yield Item("stub", cell.source, name=chapters.checked(cell))
        elif cell.cell_type == "code":
            yield from function(cell)
            words = published(after.source) if caption else ""
            yield from drawn(cell, outputs.get(cell.id, []), words, page)


def published(markdown):
    """The links between the copies lead to the site, or nowhere if the book has no address."""
    site = student.config().get("html", {}).get("baseurl")
    to = rf"[\1]({site.rstrip('/')}/book/\2.html)" if site else r"\1"
    return re.sub(r"\[([^][]+)\]\(([\w-]+)\.ipynb\)", to, markdown)


def written(source):
    """Yield the blocks of a cell of Markdown."""
    lines, found = source.splitlines(), []
    for token in student.parser().parse(source):
        text = "\n".join(lines[slice(*token.map)]).strip() if token.map else ""
        if token.type == "list_item_open" and token.level == 1:
            found[-1].points.append(text)
        elif token.type == "heading_open":
            found.append(Item("heading", text.lstrip("# "), level=int(token.tag[1])))
        elif token.type == "code_block":
            found.append(Item("fence", f"```python\n{token.content.strip()}\n```"))
        elif token.level == 0 and token.map:
            kind = "list" if token.type.endswith("_list_open") else token.type
            found.append(Item(kind.removesuffix("_open"), text))
    return found


def function(cell):
    """Yield the function that a cell shows, if it defines only one, and a short one."""
    code = re.sub(r"^[%!]", "#", cell.source, flags=re.M)
    defined = [node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)]
    if len(defined) == 1 and "hide-input" not in cell.metadata.get("tags", []):
        source = ast.get_source_segment(code, defined[0])
        if 2 < len(source.splitlines()) <= CODE:
            yield Item("fence", f"```python\n{source}\n```")


def drawn(cell, outputs, caption, page):
    """Yield the figures and views among the outputs of a cell."""
    stored = cell.metadata.get("mystnb", {})
    for data in (output.get("data", {}) for output in outputs):
        for kind in chapters.FIGURES & data.keys():
            name = f"figures/{stored['figure']['name']}.{kind[6:9]}"
            yield Item("figure", data[kind], 0, name, stored["image"]["alt"], caption)
        if "text/html" in data:
            says = data["text/plain"]
            yield Item("view", data["text/html"], 0, f"views/{page}-{cell.id}.html", says)


# Items become slides


@dataclass
class Slide:
    """In Markdown. lines: how many are taken; full: whether nothing else may join."""

    heading: str
    pieces: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    lines: float = 0
    equations: int = 0
    full: bool = False

    def markdown(self):
        notes = ["Note:", *self.notes] if self.notes else []
        return "\n\n".join([self.heading, *self.pieces, *notes])


class Stack:
    """The slides of a section, one below the other."""

    def __init__(self, heading):
        self.slides = [Slide(heading)]

    @property
    def last(self):
        return self.slides[-1]

    def slide(self, heading):
        """Begin a slide; one on which nothing stands yet only gets its heading."""
        if self.last.pieces:
            self.slides.append(Slide(heading))
        self.last.heading = heading

    def put(self, piece, lines, equations=0, alone=False):
        """Put a piece on the last slide, or on a new one if that has no room for it."""
        last = self.last
        crowded = last.lines + lines > ROOM or last.equations + equations > EQUATIONS
        if last.pieces and (last.full or alone or crowded):
            self.slide(last.heading)
        self.last.pieces.append(piece)
        self.last.lines += lines
        self.last.equations += equations
        self.last.full = alone

    def listing(self, points, prose=()):
        """Put a list on the last slide, or in even parts on as many as it takes."""
        total = sum(map(height, points))
        share, done = ROOM + 1, 0
        if self.last.pieces and (self.last.full or self.last.lines + total > share):
            self.slide(self.last.heading)
        if total > share:
            share = total / ceil(total / ROOM)
        for point, words in zip_longest(points, prose):
            if done + height(point) / 2 > share:
                self.slide(self.last.heading)
                done = 0
            self.last.pieces.append(point)
            self.last.lines += height(point)
            done += height(point)
            if words:
                self.say(words)

    def say(self, prose):
        """Give the speaker a paragraph."""
        self.last.notes.append(plain(prose))

    def markdown(self):
        return "\n\n--\n\n".join(slide.markdown() for slide in self.slides)


def sentences(paragraph):
    """A paragraph in sentences. One that is its title, as **Theorem.**, stays with the next."""
    paragraph = " ".join(paragraph.split())
    # a formula or code ends no sentence
    hidden = re.sub(r"\$[^$]+\$|`[^`]+`", lambda found: "X" * len(found[0]), paragraph)
    ends = [m.end() for m in re.finditer(r"(?<=[.!?:])[\")*]*\s+(?=[\"(*]*[A-Z])", hidden)]
    found = []
    for start, end in zip([0, *ends], [*ends, None], strict=True):
        sentence = paragraph[start:end].strip()
        if found and re.fullmatch(r"\*+[^*]+[.:]\*+", found[-1]):
            sentence = f"{found.pop()} {sentence}"
        found.append(sentence)
    return found


def first(paragraph, letters):
    """How many of its sentences have room in so many letters: one at least."""
    found = sentences(paragraph)
    while len(found) > 1 and len(" ".join(found)) > letters:
        found.pop()
    return len(found)


def brief(paragraph, letters):
    return " ".join(sentences(paragraph)[: first(paragraph, letters)])


def leading(paragraph):
    """Which of its sentences lead to the equation below it: the last, and those with room."""
    found = sentences(paragraph)
    number = 1
    while number < len(found) and len(" ".join(found[-number - 1 :])) <= LEAD:
        number += 1
    return set(range(len(found) - number, len(found)))


def stressed(sentence):
    """Whether it has words in bold or italics, as a term has where it is defined."""
    without_code = re.sub(r"`[^`]+`|\$[^$]+\$", "", sentence)
    return bool(re.search(r"(?<![\w*])\*{1,2}(?![\s*])[^*]+\*", without_code))


def runs(found, told, end):
    """The sentences told, as a paragraph wherever some stood together; end: for a last colon."""
    texts, last = [], None
    for i in sorted(told):
        text = re.sub(r":$", end if i == len(found) - 1 else ".", found[i])
        if last == i - 1:
            texts[-1] += f" {text}"
        else:
            texts.append(text)
        last = i
    return texts


def plain(markdown):
    """Markdown without its marks; formulas and code stay as they are written."""
    parts = re.split(r"(\$[^$]+\$|`[^`]+`)", published(markdown))
    parts[::2] = (part.replace("*", "") for part in parts[::2])
    return re.sub(r"\[([^][]+)\]\([^)]+\)", r"\1", " ".join("".join(parts).split()))


def height(markdown):
    """The lines that words take, about."""
    seen = re.sub(r"\[([^][]+)\]\([^)]+\)", r"\1", markdown)
    seen = re.sub(r"\\[a-zA-Z]+|[\\{}$*_^`]", "", seen)
    return ceil(len(seen) / LINE) + 0.5


def deck(notebook, page):
    """The stacks of a chapter, and the items whose content becomes a file."""
    whole = list(items(notebook, page))
    starts = [i for i, item in enumerate(whole) if item.kind == "heading" and item.level == 2]
    stacks = opening(whole[1 : starts[0]], page)
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        heading, inside = whole[start].source, whole[start + 1 : end]
        if heading == "Exercises":
            stacks += exercises(inside)
        elif heading == "Summary":
            stacks.append(listed(Stack("## Summary"), inside))
        elif heading == "References":
            stacks += references(inside, stacks)
        elif heading != "Where the papers differ":  # for readers of the papers
            stacks.append(section(Stack(f"## {heading}"), inside))
    return stacks, [item for item in whole if item.kind in ("figure", "view")]


def opening(inside, page):
    """The title, what stands before the first section, and what the chapter teaches."""
    heading, question = student.title(page)
    stack, taught = Stack(f"# {heading}"), Stack("## You will be able to")
    stack.put(published(student.reworded(question, set())), ROOM / 2)
    stack.put(licence(), ROOM / 2)
    for item in inside:
        if item.kind in ("figure", "view"):
            stack.slide(f"## {heading.partition(' · ')[2]}")
            stack.put(picture(item), ROOM, alone=True)
        elif item.kind == "list":
            taught.listing(item.points)
        elif item.kind == "paragraph" and "You will be able to" not in item.source:
            (taught if taught.last.pieces else stack).say(item.source)
    return [stack, taught]


def licence():
    """Where a deck comes from, and what one may do with it."""
    config = student.config()
    site = config.get("html", {}).get("baseurl") or chapters.repository()
    return LICENCE.format(title=config["title"], author=config["author"], site=site)


def section(stack, inside):
    """Its equations with what leads to them, figures, tables, functions, and what it stresses."""
    begins = True  # as every part does with what its first paragraph says first
    for before, item, after in zip(
        [None, *inside], inside, [*inside[1:], Item("end", "")], strict=False
    ):
        kind, source = item.kind, item.source
        if kind == "heading":
            stack.slides.append(Slide(f"### {source}"))
            begins = True
        elif kind == "paragraph":
            found = sentences(source)
            told = {i for i, sentence in enumerate(found) if stressed(sentence)}
            if begins or re.match(r"\*\*[A-Z][^*]*\.\*\*", source):
                told |= set(range(first(source, LEAD)))
            if before and before.kind == "math_block" and not source[0].isupper():
                told.add(0)
            begins, equation = False, after.kind == "math_block"
            told -= leading(source) if equation else set()
            lists = after.kind in ("list", "table", "fence")
            for text in runs(found, told, ":" if lists else "."):
                stack.put(text, height(text))
            if not equation:
                stack.say(source)
        elif kind == "math_block":
            lead = ""
            if before and before.kind == "paragraph":
                found = sentences(before.source)
                lead = " ".join(found[i] for i in sorted(leading(before.source))) + "\n\n"
            rows = 1 + source.count(r"\\")
            tall = re.search(r"frac|sum|prod|int|binom", source)
            lines = 0.5 + rows * (2.4 if tall else 1.5) + (height(lead) if lead else 0)
            stack.put(lead + source, lines, equations=1)
            if lead:
                stack.say(before.source)
        elif kind == "list":
            stack.listing([shortened(point) for point in item.points], item.points)
        elif kind in ("figure", "view"):
            stack.put(picture(item), ROOM, alone=True)
        elif kind == "blockquote":
            stack.put(source, height(source) + source.count("\n>\n") / 2)
        elif kind == "table":
            stack.put(source, 1.4 * len(source.splitlines()))
        elif kind == "fence":
            stack.put(source, len(source.splitlines()) - 1)
    return stack


def picture(item):
    """A figure or a view in Markdown, with its caption."""
    alt = re.sub(r"([][\\])", r"\\\1", " ".join(item.alt.split()))
    return f"![{alt}]({item.name})" + (f"\n\n{item.caption}" if item.caption else "")


def listed(stack, inside):
    """A list of which nothing is left out."""
    for item in inside:
        if item.kind == "list":
            stack.listing(item.points)
        elif item.kind == "paragraph":
            stack.put(item.source, height(item.source))
    return stack


def shortened(point):
    """A point of a list, of as many sentences as have room."""
    marker, text = re.match(r"([*+-]|\d+[.)])\s+(.*)", point, flags=re.S).groups()
    return f"{marker} {brief(text, LEAD)}"


def exercises(inside):
    """The statements, each on a slide, and the open ones."""
    stack = Stack("## Exercises")
    stacks, asked = [stack], True
    for i, item in enumerate(inside):
        begins = re.match(r"\*\*Exercise (\S+)\.\*\*\s*(.*)", item.source, flags=re.S)
        if item.kind == "heading":
            stacks.append(listed(Stack("## Open exercises"), inside[i + 1 :]))
            break
        if begins:
            number, statement = begins.groups()
            stack.slide(f"## Exercise {number}")
            stack.put(statement, 0)
            asked = True
        elif item.kind == "stub":
            stack.last.heading += f" · `{item.name}`"
            asked = False
        elif asked:
            stack.put(picture(item) if item.name else item.source, 0)
    return stacks


def references(inside, stacks):
    """The works that a slide names."""
    text = " ".join(" ".join(stack.markdown() for stack in stacks).split())
    named = []
    for work in inside[0].points:
        authors, year = re.match(r"\* (.+?) \((\w+)\): ", work).groups()
        if re.search(rf"{re.escape(authors)}('s)?,? \(?{year}", text):
            named.append(work)
    stack = Stack("## References")
    stack.listing(named)
    return [stack] if named else []


# Slides become a page


def parser(folder):
    """What turns the Markdown of a deck in this folder into HTML."""
    made = MarkdownIt("commonmark").enable("table")
    made.use(dollarmath_plugin, allow_labels=False, renderer=formula)
    made.core.ruler.push("pictures", pictures)

    def image(self, tokens, i, options, env):
        alt, source = unescapeAll(tokens[i].content), tokens[i].attrs["src"]
        if source.endswith(".html"):
            frame = f'<iframe data-src="{source}" title="{escape(alt)}"></iframe>'
            return f'<div class="view">{frame}</div>'
        path = folder / source
        if path.suffix == ".svg":
            svg = path.read_text(encoding="utf-8")
            drawing = inline_svg.inline(svg, alt, f"{path.stem}-", "none")
            across, down = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing).groups()
            kind = "figure tall" if float(down) > float(across) else "figure"
            return f'<div class="{kind}">{drawing}</div>'
        return f'<div class="figure"><img src="{source}" alt="{escape(alt)}"></div>'

    made.add_render_rule("image", image)
    made.add_render_rule("fence", code)
    made.add_render_rule("code_block", code)
    return made


def formula(source, options):
    source = escape(source.strip(), quote=False)
    return rf"\[{source}\]" if options["display_mode"] else rf"\({source}\)"


def code(self, tokens, i, options, env):
    content = tokens[i].content
    python = tokens[i].info == "python"
    content = (
        highlight(content, PythonLexer(), HtmlFormatter(nowrap=True)) if python else escape(content)
    )
    return f"<pre><code>{content}</code></pre>\n"


def pictures(state):
    """A picture alone in its paragraph stands on the slide itself."""
    for opened, token, closed in zip(
        state.tokens, state.tokens[1:], state.tokens[2:], strict=False
    ):
        if token.type == "inline" and [child.type for child in token.children] == ["image"]:
            opened.hidden = closed.hidden = True


def page(text, folder):
    """The page of a deck whose text is this Markdown."""
    made, stacks = parser(folder), []
    text = re.sub(r"\A<!--.*?-->", "", text, flags=re.S)
    for stack in re.split(r"^---$", text, flags=re.M):
        slides = re.split(r"^--$", stack, flags=re.M)
        stacks.append("<section>" + "\n".join(slide(made, one) for one in slides) + "</section>")
    title = re.search(r"^# (.+)$", text, flags=re.M)[1]
    return fill("deck.html", title=escape(title), slides="\n".join(stacks))


def slide(made, text):
    """A slide: its heading, what it shows, and the speaker's notes."""
    shows, _, notes = text.partition("\nNote:\n")
    heading, _, shows = shows.strip().partition("\n")
    told = "".join(f"<p>{escape(p.strip())}</p>" for p in notes.split("\n\n") if p.strip())
    kind = "slide title" if heading.startswith("# ") else "slide"
    return (
        f'<section><div class="{kind}">{made.render(heading)}'
        f'<div class="body">{made.render(shows)}</div></div>'
        f'<aside class="notes">{told}</aside></section>'
    )


def fill(name, **values):
    """A file of book/deck, in which the names of what npm brought are filled in."""
    places = {"reveal": REVEAL, "mathjax": MATHJAX, "letters": LETTERS}
    values |= {place: assets.folder(package).name for place, package in places.items()}
    return Template((PARTS / name).read_text(encoding="utf-8")).substitute(values)


def bring():
    """Bring from npm what the decks need and is not there yet."""
    if packages := assets.missing([MATHJAX, LETTERS, REVEAL]):
        assets.bring(packages)


def furnish(folder):
    """Put what all decks share into their folder."""
    for package in (MATHJAX, LETTERS, REVEAL):
        shared = assets.folder(package)
        shutil.copytree(shared, folder / shared.name, dirs_exist_ok=True)
    for name in ("deck.js", "view.js"):
        shutil.copy(PARTS / name, folder)
    colours = HtmlFormatter(style="a11y-high-contrast-light").get_style_defs("pre")
    (folder / "deck.css").write_text(f"{fill('deck.css')}\n{colours}\n", encoding="utf-8")


def write(text, folder, overwrite=False):
    """Write the deck of a chapter, its figures and its views. Returns whether it kept its text."""
    notebook = nbformat.read(text.with_suffix(".ipynb"), as_version=4)
    stacks, pictured = deck(notebook, text.stem)
    for item in pictured:
        path = folder / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if item.kind == "view":
            content = fill("view.html", title=escape(item.alt), view=item.source)
            path.write_text(content, encoding="utf-8")
        elif path.suffix == ".svg":
            path.write_text(item.source, encoding="utf-8")
        else:
            path.write_bytes(b64decode(item.source))
    made = EDITED + "\n" + "\n\n---\n\n".join(stack.markdown() for stack in stacks) + "\n"
    path = folder / text.name
    kept = path.exists() and not overwrite and path.read_text(encoding="utf-8") != made
    if not kept:
        path.write_text(made, encoding="utf-8")
    content = page(path.read_text(encoding="utf-8"), folder)
    path.with_suffix(".html").write_text(content, encoding="utf-8")
    return kept


def index(folder):
    """Write the page that leads to the decks."""
    listed = []
    for text in chapters.texts():
        if (folder / text.name).exists():
            title = escape(student.title(text.stem)[0])
            listed.append(f'<li><a href="{text.stem}.html">{title}</a></li>')
    content = fill("index.html", decks="\n".join(listed), licence=MarkdownIt().render(licence()))
    (folder / "index.html").write_text(content, encoding="utf-8")


def main():
    raw = argparse.RawTextHelpFormatter
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    arguments.add_argument("texts", nargs="*", type=Path)
    arguments.add_argument("--overwrite", action="store_true")
    options = arguments.parse_args()
    try:
        bring()
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(f"The slides need {REVEAL}, and npm did not bring it: {error}")
    SLIDES.mkdir(parents=True, exist_ok=True)
    furnish(SLIDES)
    for text in options.texts or chapters.texts():
        if reason := chapters.stale(text):
            sys.exit(f"{text} has not been executed as it is ({reason}): run `make chapters`.")
        if write(text, SLIDES, options.overwrite):
            print(f"kept: the text of {SLIDES / text.name}, which may have been edited;")
            print("    --overwrite replaces it")
    index(SLIDES)
    print(f"The slides: {(SLIDES / 'index.html').as_uri()}")


if __name__ == "__main__":
    main()
