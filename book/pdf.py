"""The book as one PDF, printed by a headless Chromium from the site that `make site` has built.

python book/pdf.py                                 build/nanoparadigm.pdf: all pages
python book/pdf.py --no-solutions                  without the solutions, to hand out
python book/pdf.py --pages 03-masking 04-bound     these pages alone

The articles of the pages are joined into one document. Each id gets the name of its page before it,
and a link from page to page becomes a link inside the document. A link to a page that is left out
leads to the site.
"""

import argparse
import base64
import datetime
import json
import posixpath
import re
import tempfile
import time
from html import escape
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import yaml
from browser import CHROMIUM, Browser, serve
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]

SITE = ROOT / "_build/html"
PDF = ROOT / "build/nanoparadigm.pdf"
JOINED = "book/whole.html"  # where the browser finds the document: beside the pages, in no folder
# Names, punctuation and blanks in code have the ink of the page; each would be a tag in the PDF.
PLAIN = re.compile(r'<span class="(?:n|p|w|nn)">([^<]*)</span>')
LONG = 20  # lines of code that may be broken over two pages
WIDE = 665  # pixels of CSS, the width of the text on a page
SECONDS = 3600  # that a page or a print may take, on a busy machine
# Attributes that hold ids, besides `href` and what stands in url(#...)
IDS = "for aria-labelledby aria-describedby aria-controls aria-details aria-owns headers".split()
URL = re.compile(r"url\((['\"]?)#([^)'\"]+)\1\)")
# Code that is folded away on the site, and what has no use on paper
LEFT_OUT = "details.hide, a.headerlink"
MOVES = "figure[role=group], nano-race"  # what a reader can move on the site
STYLE = """\
@page { size: A4; margin: 20mm 17mm 18mm; @bottom-center { content: counter(page); } }
@page :first { @bottom-center { content: none; } }
@page { @top-left { font: 8pt "Source Sans 3", sans-serif; color: #555; }
  @bottom-center { font: 9pt "Source Sans 3", sans-serif; color: #555; } }
body { margin: 0; padding: 0; background: #fff; }
article { break-before: page; }
.cover { break-after: page; padding-top: 50mm; }
.cover .title { font-size: 34pt; font-weight: 700; line-height: 1.1; }
.cover .subtitle { font-size: 17pt; max-width: none; margin: 3mm 0 30mm; }
.cover p { margin: 0 0 2.5mm; max-width: 34rem; }
.contents .part { font-size: 12pt; margin: 5mm 0 1mm; }
.contents ol { list-style: none; margin: 0; padding: 0; max-width: none; }
.contents li { margin: 0 0 1.6mm; break-inside: avoid; }
.contents .entry { display: flex; justify-content: space-between; gap: 4mm; font-weight: 600; }
.contents .sections { font-size: 8pt; line-height: 1.35; padding-right: 12mm; }
.contents a { color: inherit; text-decoration: none; }
"""


def book():
    """Title, subtitle, authors, version and addresses, as they stand in CITATION.cff."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    title, _, subtitle = cited["references"][0]["title"].partition(": ")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return dict(
        title=title,
        subtitle=subtitle,
        authors=", ".join(author["name"] for author in cited["authors"]),
        version=cited["version"],
        address=config["html"]["baseurl"],
        code="{url}/blob/{branch}".format(**config["repository"]),
    )


def contents():
    """The parts of the book: [(caption, [page, ...]), ...], the front page in one without."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    parts = [(part["caption"], [c["file"] for c in part["chapters"]]) for part in toc["parts"]]
    return [("", [toc["root"]]), *parts]


def chosen(names):
    """The contents with only the pages of these names; all of them if none is given."""
    short = {page: page.rpartition("/")[2] for _, pages in contents() for page in pages}
    names = [Path(name).stem for name in names]
    if unknown := sorted(set(names) - set(short.values())):
        raise SystemExit(
            f"There is no page {', '.join(unknown)}: the pages are {', '.join(short.values())}."
        )
    parts = [(c, [p for p in pages if not names or short[p] in names]) for c, pages in contents()]
    return [(caption, pages) for caption, pages in parts if pages]


def read(site, page):
    """A page of the site, as soup."""
    path = site / f"{page}.html"
    if not path.is_file():
        raise SystemExit(f"{path} is not there: build the site first, with `make site`.")
    return BeautifulSoup(PLAIN.sub(r"\1", path.read_text(encoding="utf-8")), "html.parser")


def anchor(page, id=""):
    """The id in the document of an id on a page, or of the page itself."""
    name = page.rpartition("/")[2]
    return f"{name}.{id}" if id else name


def article(soup, page, address, solutions=True):
    """What of a page is printed, with ids that are its own in the whole document.

    address: of the site, where the views move."""
    found = soup.select_one("article.bd-article")
    found.attrs = {"class": "bd-article", "id": anchor(page)}
    for tag in found.select(LEFT_OUT):
        tag.decompose()
    if not solutions:
        for tag in found.select(".solution, details[id^=exit-] > :not(summary)"):
            tag.decompose()
    for tag in found("details"):
        tag["open"] = ""
    for code in found.select("div.highlight pre"):
        if len(code.text.splitlines()) > LONG:
            code["class"] = "long"
    for view in found.select(MOVES):
        section = view.find_parent("section", id=True)
        link = soup.new_tag("a", href=f"{address}{page}.html#{section['id']}")
        link.string = "On the site this moves."
        view.insert_after(link)
        link.wrap(soup.new_tag("p"))
    rename(found, page)
    return found


def rename(found, page):
    """Put the name of the page before each id inside its article, and before what refers to one."""
    seen = set()
    for tag in found.find_all(True):
        if id := tag.attrs.pop("id", None):
            if id not in seen:  # sphinx-exercise gives one id to all exercises of a page
                tag["id"] = anchor(page, id)
            seen.add(id)
        for name, value in tag.attrs.items():
            if name in IDS:
                ids = value if isinstance(value, list) else value.split()
                tag[name] = " ".join(anchor(page, id) for id in ids)
            elif "url(" in value:
                tag[name] = URL.sub(lambda found: f"url(#{anchor(page, found[2])})", value)
            elif name in ("href", "xlink:href") and value.startswith("#") and tag.name != "a":
                tag[name] = f"#{anchor(page, value[1:])}"  # a part of a drawing that is used again


def lead(articles, address):
    """Let every link between the pages {page: article} lead inside the document.

    address: of the site, where all other links of the pages lead.
    """
    ids = {tag["id"] for found in articles.values() for tag in [found, *found(id=True)]}
    for page, found in articles.items():
        for link in found("a", href=True):
            parts = urlsplit(link["href"])
            if parts.scheme or parts.netloc:
                continue
            path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path)))
            there = path.removesuffix(".html") if parts.path else page
            target = anchor(there, unquote(parts.fragment))
            if there in articles and target in ids:
                link["href"] = f"#{target}"
            else:
                link["href"] = urljoin(f"{address}{page}.html", link["href"])


def cover(facts, built, solutions):
    """The title page."""
    said = [
        f'<p class="title">{escape(facts["title"])}</p>',
        f'<p class="subtitle">{escape(facts["subtitle"].capitalize())}</p>',
        f"<p>{escape(facts['authors'])}</p>",
        f"<p>Version {escape(facts['version'])}, {built:%-d %B %Y}"
        f"{'' if solutions else ', without the solutions'}</p>",
        f'<p>The text and the figures are under <a href="{facts["code"]}/LICENSE-TEXT">CC BY 4.0'
        "</a>: share and change them, and say where they come from. "
        f'The code is under the <a href="{facts["code"]}/LICENSE">MIT licence</a>.</p>',
        f'<p>Online, with views that move and models that write: <a href="{facts["address"]}">'
        f"{facts['address'].removeprefix('https://').rstrip('/')}</a></p>",
    ]
    return f'<div class="cover">{"".join(said)}</div>'


def colophon(facts):
    """Where a single page comes from."""
    return (
        f"<p>From <i>{escape(facts['title'])}: {escape(facts['subtitle'])}</i>, by "
        f'{escape(facts["authors"])}, <a href="{facts["address"]}">{facts["address"]}</a>. '
        f'The text and the figures are under <a href="{facts["code"]}/LICENSE-TEXT">CC BY 4.0</a>, '
        f'the code is under the <a href="{facts["code"]}/LICENSE">MIT licence</a>.</p>'
    )


def listed(parts, articles):
    """The contents, with room for the numbers of the pages."""
    html = ['<article class="bd-article contents" id="contents"><h1>Contents</h1>']
    for caption, pages in parts:
        html.append(f'<p class="part">{escape(caption)}</p>' if caption else "")
        html.append("<ol>")
        for page in pages:
            name = escape(heading(articles[page]))
            sections = [
                f'<a href="#{escape(tag.find_parent("section")["id"])}">{escape(words(tag))}</a>'
                for tag in articles[page].select("section > h2")
            ]
            html.append(
                f'<li><a class="entry" href="#{anchor(page)}"><span>{name}</span>'
                '<span class="number"></span></a>'
                f'<div class="sections">{" · ".join(sections)}</div></li>'
            )
        html.append("</ol>")
    return "\n".join([*html, "</article>"])


def heading(found):
    return words(found.h1)


def words(tag):
    return " ".join(tag.text.split())


def joined(site, parts, solutions=True):
    """The whole document as HTML, its title page and contents before the articles."""
    facts, pages = book(), [page for _, pages in parts for page in pages]
    soups = {page: read(site, page) for page in pages}
    articles = {
        page: article(soup, page, facts["address"], solutions) for page, soup in soups.items()
    }
    lead(articles, facts["address"])
    built = datetime.datetime.fromtimestamp((site / f"{pages[0]}.html").stat().st_mtime)
    title, shown = facts["title"], [*map(str, articles.values())]
    if len(pages) > 1:
        shown = [cover(facts, built, solutions), listed(parts, articles), *shown]
    else:
        title = heading(articles[pages[0]])
        shown.append(colophon(facts))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en" data-mode="light" data-theme="light">',
            f'<head><meta charset="utf-8"><title>{escape(title)}</title>',
            '<link rel="icon" href="data:,">',
            *heads(soups.values()),
            f"<style>{STYLE}{''.join(running(articles))}</style>",
            f"<script>{(ROOT / 'book/print.js').read_text(encoding='utf-8')}</script>",
            '</head><body><div class="bd-article-container">',
            *shown,
            "</div></body></html>",
        ]
    )


def heads(soups):
    """Each style that a page loads, and MathJax with its settings."""
    found = {}
    for soup in soups:
        for tag in soup.head.select('link[rel="stylesheet"], script'):
            if tag.name == "link" or "mathjax" in f"{tag.get('src')}{tag.string}".lower():
                found[str(tag)] = None
    return found


def running(articles):
    """Above every page stands the title of its article."""
    for number, (page, found) in enumerate(articles.items()):
        title = heading(found).replace("\\", "\\\\").replace('"', '\\"')
        yield f'[id="{anchor(page)}"] {{ page: p{number}; }}'
        yield f'@page p{number} {{ @top-left {{ content: "{title}"; }} }}'


# A formula or a table that is wider than the page is made as small as it must be.
FIT = """
for (const drawn of document.querySelectorAll('mjx-container[display="true"]')) {
  const wide = drawn.querySelector("mjx-math").getBoundingClientRect().width;
  const room = drawn.getBoundingClientRect().width;
  if (wide > room) drawn.style.setProperty("font-size", `${100 * room / wide}%`, "important");
}
for (const table of document.querySelectorAll("table")) {
  const room = table.parentElement.clientWidth;
  if (table.scrollWidth > room) table.style.zoom = room / table.scrollWidth;
}
"""
# Every model that can write in the page writes its text to the end.
WRITE = """
(async () => {
  for (const race of document.querySelectorAll("nano-race")) {
    if (!race.panesOf) continue;
    race.play();
    const wait = (then) => setTimeout(then, 100);
    for (let n = 0; n < 3000 && !race.over(); n++) await new Promise(wait);
    race.seek(race.end());
  }
})()
"""
# The contents get the numbers of the pages, which the first print has shown.
NUMBER = """
for (const [id, number] of Object.entries({}))
  for (const entry of document.querySelectorAll(`.entry[href="#${{id}}"] .number`))
    entry.textContent = number;
"""
READY = f"document.readyState == 'complete' && location.pathname == '/{JOINED}'"
UNSET = """
[...document.querySelectorAll(".math")].filter((e) => !e.querySelector("mjx-container")).length
"""


class Server(SimpleHTTPRequestHandler):
    """The site, and the document as one page of it."""

    document = b""

    def do_GET(self):
        if self.path != f"/{JOINED}":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(self.document)))
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, *_):
        pass


def printed(site, html):
    """The PDF that Chromium makes of the document."""
    handler = type("Document", (Server,), {"document": html.encode()})
    paper = dict(media="print", features=[dict(name="prefers-reduced-motion", value="reduce")])
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        serve(site, handler) as address,
    ):
        browser = Browser(Path(folder))
        try:
            browser.socket.settimeout(SECONDS)
            browser.call("Emulation.setEmulatedMedia", **paper)
            browser.resize(WIDE)
            browser.call("Page.navigate", url=f"{address}/{JOINED}")
            browser.wait(lambda: browser.ask(READY), SECONDS)
            browser.ask("window.MathJax?.startup?.promise?.then(() => true)")
            if browser.ask(UNSET):
                raise SystemExit(
                    "The formulas are not typeset: bring MathJax with `python book/assets.py`, and "
                    "build the site anew with `make site`."
                )
            browser.ask(WRITE)
            browser.ask(FIT)
            pdf = printout(browser)
            browser.ask(NUMBER.format(json.dumps(numbers(pdf))))
            pdf = printout(browser, generateTaggedPDF=True, generateDocumentOutline=True)
            if browser.errors:
                raise SystemExit(f"Chromium reports an error in the document: {browser.errors[0]}")
            return pdf
        finally:
            browser.close()


def printout(browser, **options):
    """What the page that is open looks like on paper."""
    options |= dict(printBackground=True, preferCSSPageSize=True, transferMode="ReturnAsStream")
    return b"".join(stream(browser, browser.call("Page.printToPDF", **options)["stream"]))


def stream(browser, handle):
    """What Chromium holds ready, piece by piece."""
    while True:
        piece = browser.call("IO.read", handle=handle, size=1 << 22)
        yield base64.b64decode(piece["data"]) if piece["base64Encoded"] else piece["data"].encode()
        if piece["eof"]:
            return


def numbers(pdf):
    """id -> the number of the page on which it is, for every id that a link of the PDF leads to."""
    objects = dict(re.findall(rb"^(\d+) 0 obj\n(.*?)\nendobj", pdf, re.M | re.S))

    def leaves(number):
        kids = re.search(rb"/Kids \[(.*?)\]", objects[number], re.S)
        if not kids:
            return [number]
        return [leaf for kid in re.findall(rb"(\d+) 0 R", kids[1]) for leaf in leaves(kid)]

    catalog = next((text for text in objects.values() if b"/Type /Catalog" in text), b"")
    root, named = (re.search(rb"/%s (\d+) 0 R" % key, catalog) for key in (b"Pages", b"Dests"))
    if not root or not named:
        return {}
    place = {leaf: number for number, leaf in enumerate(leaves(root[1]), 1)}
    found = re.findall(rb"/(\S+) \[(\d+) 0 R /XYZ", objects[named[1]])
    return {unescaped(name): place[page] for name, page in found}


def unescaped(name):
    """A name of a PDF as text: #2F in it is a slash."""
    return re.sub(rb"#(..)", lambda code: bytes.fromhex(code[1].decode()), name).decode()


def main():
    raw = argparse.RawTextHelpFormatter
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    arguments.add_argument("--no-solutions", action="store_true")
    arguments.add_argument("--pages", nargs="+", default=[], metavar="PAGE")
    arguments.add_argument("--out", type=Path, default=PDF)
    arguments.add_argument("--site", type=Path, default=SITE)
    options = arguments.parse_args()
    if not CHROMIUM:
        raise SystemExit(
            "There is no Chromium here to print with: `apt-get install chromium` brings one."
        )
    began = time.monotonic()
    html = joined(options.site, chosen(options.pages), not options.no_solutions)
    print("Chromium prints the pages now: the whole book takes some minutes.", flush=True)
    made = printed(options.site, html)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(made)
    seconds = time.monotonic() - began
    print(f"written: {options.out}, {len(made) / 1e6:.1f} MB, in {seconds:.0f} s")


if __name__ == "__main__":
    main()
