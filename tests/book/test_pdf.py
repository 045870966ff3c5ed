"""The book on paper: pages joined into one document, and what Chromium prints of it."""

import re
import subprocess
import sys

import chapters
import jupytext
import pdf
import pytest
from browser import CHROMIUM, serve
from bs4 import BeautifulSoup
from helpers import ROOT, pages
from test_site import Site, own

from nanoparadigm.show.figures import slider

VIEW = slider(["<b>a</b>", "<b>b</b>", "<b>c</b>"], ["1st", "2nd", "3rd"], "Three frames").html
FIRST = f"""\
# The first page

It leads to [the second page](second.md), to [a part of it](#a-part), to {{eq}}`fall`,
to [the world](https://example.org), to {{ref}}`ask`, and to [the licence](../LICENSE).

{VIEW}

```{{exercise-start}}
:label: ask
```
How much is it?
```{{exercise-end}}
```

```{{exercise}}
And twice as much?
```

```{{solution-start}} ask
:class: dropdown
```
The answer is forty-two.
```{{solution-end}}
```

```{{dropdown}} A question at the end
:name: exit-1

What only the teacher should read.
```
"""
SECOND = """\
# The second page

Back to [the first](first.md).

$$a < b \\text{ and } \\sum_i x_i$$ (fall)

(a-part)=
## A part · with a dot

```python
short = 1
```
"""
DRAWING = """\
<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><defs><clipPath id="cut">
<path id="line" d="M0 0h9"/></clipPath></defs><use href="#line"/><path style="clip-path: url(#cut)"
 d="M0 0v9"/></svg>
"""


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    """A site of three pages, in a book of its own."""
    site = Site(tmp_path_factory.mktemp("mini"))
    (site.root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nchapters: [file: book/first, file: book/second]"
    )
    texts = {
        "index": "# Its title\n\nTo [the first](first.md).\n",
        "first": FIRST,
        "second": SECOND,
    }
    for name, text in texts.items():
        (site.root / f"book/{name}.md").write_text(f"{text}\n{DRAWING}")
    (site.root / "LICENSE").write_text("as you like")
    site.build()
    return site


PARTS = [("", ["book/index"]), ("A part", ["book/first", "book/second"])]


def whole(site, parts=PARTS, **options):
    return BeautifulSoup(pdf.joined(site.html, parts, **options), "html.parser")


def test_the_joined_pages_have_each_id_once_and_no_dead_link(mini):
    soup = whole(mini)
    ids = [tag["id"] for tag in soup(id=True)]
    assert len(set(ids)) == len(ids) and {"index", "first", "second"} <= set(ids)
    assert len([id for id in ids if id.endswith(".cut")]) == 3
    inner = [link["href"][1:] for link in soup("a", href=re.compile("^#"))]
    used = re.findall(r"url\(#([^)]+)\)", str(soup.body))
    used += [tag["href"][1:] for tag in soup("use")]
    assert {*inner, *used} <= set(ids) and len(used) == 6
    assert {"first", "second", "second.a-part", "first.ask", "second.equation-fall"} <= set(inner)


def test_a_link_that_leads_out_of_the_document_leads_to_the_world(mini):
    address = pdf.book()["address"]
    links = [link["href"] for link in whole(mini, [("", ["book/first"])]).select("article a")]
    assert all(re.match("https://|#", link) for link in links)
    assert f"{address}book/second.html#a-part" in links and "https://example.org" in links
    assert [link for link in links if re.match(f"{address}_downloads/.*LICENSE", link)]


def test_the_document_takes_nothing_but_what_the_site_has(mini):
    own(mini)
    soup = whole(mini)
    taken = [tag.get("src") or tag["href"] for tag in soup(src=True) + soup("link", href=True)]
    assert len(taken) > 5
    for link in taken:
        path = (mini.html / pdf.JOINED).parent / link.partition("?")[0]
        assert link == "data:," or path.is_file(), link


@pytest.mark.parametrize("solutions", [True, False])
def test_solutions_are_shown_or_left_out(solutions, mini):
    soup = whole(mini, solutions=solutions)
    assert ("The answer is forty-two" in soup.text) == solutions
    assert ("What only the teacher should read" in soup.text) == solutions
    assert "A question at the end" in soup.text and "How much is it?" in soup.text
    assert ("without the solutions" in soup.select_one(".cover").text) != solutions
    assert all(tag.has_attr("open") for tag in soup("details"))


def test_the_contents_name_every_page_and_section_in_order(mini):
    listed = whole(mini).select_one("#contents")
    names = [entry.select_one("span").text for entry in listed.select(".entry")]
    assert names == ["Its title", "The first page", "The second page"]
    assert [a.text for a in listed.select(".sections a")] == ["A part · with a dot"]
    assert listed.select_one(".part").text == "A part"


def test_code_that_draws_is_left_out_and_long_code_may_break():
    folded = '<details class="hide"><pre>plot()</pre></details>'
    lines = "\n".join("line" for _ in range(pdf.LONG + 1))
    code = (
        f'<div class="highlight"><pre>{lines}</pre></div><div class="highlight"><pre>a</pre></div>'
    )
    page = f'<article class="bd-article"><h1>A</h1>{folded}{code}</article>'
    found = pdf.article(BeautifulSoup(page, "html.parser"), "book/a", "https://a.b/")
    assert "plot" not in found.text
    assert [tag.get("class") for tag in found("pre")] == ["long", None]


def test_the_contents_are_those_of_the_book():
    assert [page for _, part in pdf.contents() for page in part] == pages()
    assert pdf.chosen(["03-masking"]) == [("The chapters", ["book/03-masking"])]
    with pytest.raises(SystemExit, match="no page 99-nowhere: the pages are index, using,"):
        pdf.chosen(["99-nowhere"])


def test_without_a_site_one_sentence_says_what_to_do(tmp_path):
    with pytest.raises(SystemExit, match=r"book/index\.html is not there: build .* `make site`\."):
        pdf.joined(tmp_path, PARTS)


def test_without_a_browser_one_sentence_says_what_to_do(tmp_path):
    command = [sys.executable, ROOT / "book/pdf.py", "--out", tmp_path / "a.pdf"]
    done = subprocess.run(command, env={"PATH": "/nowhere"}, capture_output=True, text=True)
    (line,) = done.stderr.splitlines()
    assert done.returncode and "no Chromium" in line and "apt-get install" in line


SCRIPT = (ROOT / "book/print.js").read_text(encoding="utf-8")


def test_each_view_with_a_frame_for_paper_is_in_the_book():
    """Under its title, and with the buttons that are pressed."""
    titles = re.findall(r'^    "(.+)": \(view\)', SCRIPT, re.M)
    outputs = [
        html
        for text in chapters.texts()
        for cell in jupytext.read(text.with_suffix(".ipynb")).cells
        for output in cell.get("outputs", [])
        if (html := output.get("data", {}).get("text/html"))
    ]
    for title in titles:
        (view,) = [html for html in outputs if f'role="group" aria-label="{title}"' in html]
        said = SCRIPT.partition(f'"{title}": (view)')[2].partition('\n    "')[0]
        for words in re.findall(r'press\(view, "(.+?)"\)', said.partition("\n  };")[0]):
            assert f'"{words}"' in view, (title, words)
    assert len(titles) > 3


def test_before_print_a_view_shows_its_frame_unless_a_reader_has_moved_it(browser, tmp_path):
    views = VIEW.replace("Three frames", "Which steps are in each state")
    icon = "<link rel='icon' href='data:,'>"
    page = f"<html data-theme='dark'>{icon}<script>{SCRIPT}</script>{views}{VIEW}"
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    shown = "[...document.querySelectorAll('[data-label]')].filter(e => e.checkVisibility("
    shown += "{visibilityProperty: true})).map(e => e.textContent)"

    def printing():
        return browser.ask("window.dispatchEvent(new Event('beforeprint'))") and browser.ask(shown)

    with serve(tmp_path) as address:
        browser.open(f"{address}/page.html")
        assert browser.ask(shown) == ["a", "a"] and printing() == ["c", "a"]
        assert browser.ask("document.documentElement.dataset.theme") == "light"
        browser.ask("window.dispatchEvent(new Event('afterprint'))")
        assert browser.ask("document.documentElement.dataset.theme") == "dark"

        browser.open(f"{address}/page.html?anew")
        browser.wait(lambda: browser.ask("location.search && document.readyState == 'complete'"))
        browser.ask("document.querySelector('[type=range]').focus()")
        browser.press("ArrowRight")
        assert printing() == ["b", "a"] and not browser.errors


def outline(text):
    """(depth, title) of the entries of a PDF's outline, in their order."""
    objects = dict(re.findall(r"^(\d+) 0 obj\n(.*?)\nendobj", text, re.M | re.S))

    def below(entry, depth):
        step = re.search(r"/First (\d+)", entry)
        while step:
            entry = objects[step[1]]
            yield depth, title(re.search(r"/Title (<\w+>|\(.*\))", entry)[1])
            yield from below(entry, depth + 1)
            step = re.search(r"/Next (\d+)", entry)

    return list(below(next(text for text in objects.values() if "/Type /Outlines" in text), 0))


def title(written):
    """A string of a PDF as text: in brackets, or in hexadecimal digits."""
    if written[0] == "(":
        return written[1:-1]
    return bytes.fromhex(written[1:-1]).decode("utf-16")


def test_the_pdf_has_an_outline_and_links_that_arrive(mini):
    if not CHROMIUM:
        pytest.skip("there is no Chromium here to print with: apt-get install chromium")
    own(mini)
    made = pdf.printed(mini.html, pdf.joined(mini.html, PARTS))
    text = made.decode("latin-1")
    assert outline(text) == [
        (0, "Contents"),
        (0, "Its title"),
        (0, "The first page"),
        (0, "The second page"),
        (1, "A part · with a dot"),
    ]
    found = pdf.numbers(made)
    assert (found["index"], found["first"], found["second"]) == (3, 4, 5)
    led = {pdf.unescaped(name.encode()) for name in re.findall(r"^/Dest /(\S+)", text, re.M)}
    assert led == set(found) and {"second.a-part", "first.ask", "second.equation-fall"} <= led
    assert "(https://example.org" in text and "127.0.0.1" not in text


def test_formulas_that_are_not_typeset_are_no_book(mini):
    if not CHROMIUM:
        pytest.skip("there is no Chromium here to print with: apt-get install chromium")
    html = pdf.joined(mini.html, PARTS)
    assert "mathjax" in html.lower()
    with pytest.raises(SystemExit, match="not typeset"):
        pdf.printed(mini.html, re.sub(r"<script[^>]*mathjax[^>]*></script>", "", html))
