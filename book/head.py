"""What the head of a page says to whoever links to it, and the scripts that it does without.

Sphinx loads this file as an extension. The address of the site is `html: baseurl` in _config.yml:
without one a page still has its title and description, but no picture and no canonical address.
"""

import re
from html import escape
from pathlib import Path
from textwrap import shorten

from docutils import nodes

BOOK = Path(__file__).parent
TITLE = "nanoParadigm: four ways to model language, in a book you can run"
VIEWPORT = re.compile(r'\s*<meta [^>]*name="viewport"[^>]*>')  # the layout has one of its own


def use(app, config):
    config.templates_path.append(str(BOOK / "templates"))
    config.html_additional_pages |= {"index": "root.html", "404": "404.html"}
    config.html_static_path += [str(BOOK / "figures" / name) for name in ("race.html", "card.png")]
    # The theme fills what sphinx-book-theme leaves empty: a second search box, in a bar of its own,
    # whose hidden buttons take the clicks meant for those of the page.
    config.html_theme_options["navbar_persistent"] = []


def description(doctree):
    """The first paragraph without a formula, shortened; empty where there is none."""
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section) and not paragraph.next_node(nodes.math):
            return shorten(paragraph.astext(), 200, placeholder=" …")
    return ""


def describe(app, pagename, templatename, context, doctree):
    """Give a page its title, its description and its card; take MathJax where nothing needs it."""
    env, base, root = app.env, app.config.html_baseurl, app.config.root_doc
    if pagename in (root, "index"):
        context["title"] = TITLE
    context["baseurl"] = base or "/"
    said = doctree and description(doctree) or description(env.get_doctree(root))
    card = {"title": context.get("title") or TITLE, "description": said}
    card["site_name"] = app.config.html_title
    card["type"] = "website" if pagename in (root, "index") else "article"
    if base:
        card["url"] = base + ("" if pagename == "index" else app.builder.get_target_uri(pagename))
        card["image"] = f"{base}_static/card.png"
        card |= {"image:width": "1200", "image:height": "630", "image:alt": TITLE}
    tags = [f'<meta name="description" content="{escape(said)}">']
    tags += [f'<meta property="og:{k}" content="{escape(v)}">' for k, v in card.items()]
    tags += ['<meta name="twitter:card" content="summary_large_image">']
    before = VIEWPORT.sub("", context.get("metatags") or "")
    context["metatags"] = "\n    ".join(["", before.strip(), *tags])

    # the root of the contents gets MathJax for the formulae of the chapters below it
    if not env.get_domain("math").data["has_equations"].get(pagename):
        context["script_files"][:] = [
            script
            for script in context["script_files"]
            if "mathjax" not in f"{script.filename}{script.attributes.get('body')}".lower()
        ]


def setup(app):
    app.connect("config-inited", use)
    app.connect("html-page-context", describe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
