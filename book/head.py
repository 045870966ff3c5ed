"""What the head of a page says to whoever links to it, and what of the theme it does without.

Sphinx loads this file as an extension. The address of the site is `html: baseurl` in _config.yml:
without one a page still has its title and description, but no picture and no canonical address.
"""

import re
from html import escape
from importlib.resources import files
from pathlib import Path
from textwrap import shorten

import front
from docutils import nodes
from fontTools import subset

BOOK = Path(__file__).parent
TITLE = "nanoParadigm: four ways to model language, in a book you can run"
DRAWN = BOOK / "_fresh/drawn"
# Of FontAwesome's letters those that our pages show, in a font of their own: 3 kB instead of 274.
ICONS = """
    angle-left angle-right arrow-up bars bell book-open circle-half-stroke download expand file
    file-pdf lightbulb list magnifying-glass moon pencil rocket sun triangle-exclamation
""".split()
FACE = """@font-face {{
  font-family: "Font Awesome 6 Free"; font-weight: 900; font-display: block;
  src: url("icons.woff") format("woff"); unicode-range: {range};
}}
"""
# What no page loads: maps for debuggers, FontAwesome's script and fonts, translations; and the
# lines of styles and scripts that would ask for it.
UNUSED = "**/*.map", "scripts/fontawesome*", "vendor/fontawesome/**/fa-*", "locales/**/*.*o"
ASKING = re.compile(
    r"@font-face *\{[^}]*/fontawesome/[^}]*\}|(?://|/\*)# sourceMappingURL=[^\s*]*(?: ?\*/)?"
)
FOOTER = (
    'Text <a href="{code}/blob/{branch}/LICENSE-TEXT">CC BY 4.0</a>, '
    'code <a href="{code}/blob/{branch}/LICENSE">MIT</a> · '
    '<a href="{code}/blob/{branch}/CITATION.cff">How to cite</a> · <a href="{code}">Code</a>'
)
TOOLTIP = re.compile(r'<span style="[^"]*" title="')  # of nanoparadigm.show.figures.heat
VIEWPORT = re.compile(r'\s*<meta [^>]*name="viewport"[^>]*>')  # the layout has one of its own


def use(app, config):
    config.templates_path.append(str(BOOK / "templates"))
    DRAWN.mkdir(parents=True, exist_ok=True)
    draw_icons(DRAWN)
    race = (BOOK / "figures/race.html").read_text(encoding="utf-8")
    front.card(list(front.reread(race))).savefig(DRAWN / "card.png")
    config.html_static_path += [str(DRAWN)]
    config.html_css_files += ["icons.css"]
    config.html_js_files.append(("tap.js", {"defer": "defer"}))
    config.html_js_files.append(("print.js", {"defer": "defer"}))
    config.html_additional_pages |= {"index": "root.html", "404": "404.html"}
    ours = "figures/race.html figures/icon-32.png figures/icon-180.png search.js tap.js print.js"
    config.html_static_path += [str(BOOK / name) for name in ours.split()]
    # The theme fills what sphinx-book-theme leaves empty: a second search box, in a bar of its own,
    # whose hidden buttons take the clicks meant for those of the page.
    config.html_theme_options["navbar_persistent"] = []
    icon = str(BOOK / "figures/icon.svg")
    logo = {"text": config.html_title, "alt_text": "", "image_light": icon, "image_dark": icon}
    config.html_theme_options["logo"] = logo
    code, branch = (config.html_theme_options[f"repository_{part}"] for part in ("url", "branch"))
    config.html_theme_options["extra_footer"] = FOOTER.format(code=code, branch=branch)


def draw_icons(folder):
    """Write the letters of ICONS, taken from the theme's font, and the style that names them."""
    theme = files("pydata_sphinx_theme") / "theme/pydata_sphinx_theme/static"
    style = (theme / "styles/pydata-sphinx-theme.css").read_text(encoding="utf-8")
    named = r'\.fa-%s:before[^{}]*\{content:"\\(\w+)"'
    codes = [re.search(named % icon, style)[1] for icon in ICONS]
    options = subset.Options(flavor="woff", notdef_outline=True)
    font = subset.load_font(str(theme / "vendor/fontawesome/webfonts/fa-solid-900.ttf"), options)
    letters = subset.Subsetter(options)
    letters.populate(unicodes=[int(code, 16) for code in codes])
    letters.subset(font)
    subset.save_font(font, str(folder / "icons.woff"), options)
    ranged = ", ".join(f"U+{code}" for code in codes)
    (folder / "icons.css").write_text(FACE.format(range=ranged), encoding="utf-8")


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
    if pagename != "404":  # which is shown at addresses of any depth
        static = context["pathto"]("_static", resource=True)
        tags += [f'<link rel="icon" sizes="32x32" type="image/png" href="{static}/icon-32.png">']
        tags += [f'<link rel="apple-touch-icon" href="{static}/icon-180.png">']
    before = VIEWPORT.sub("", context.get("metatags") or "")
    context["metatags"] = "\n    ".join(["", before.strip(), *tags])

    # the root of the contents gets MathJax for the formulae of the chapters below it
    needless = [] if env.get_domain("math").data["has_equations"].get(pagename) else ["mathjax"]
    needless += [] if TOOLTIP.search(context.get("body", "")) else ["tap.js"]
    context["script_files"][:] = [
        script
        for script in context["script_files"]
        if not any(
            name in f"{script.filename}{script.attributes.get('body')}".lower() for name in needless
        )
    ]


def list_pages(app, error):
    """Write the list of all pages that search engines read, and where it is."""
    base, out = app.config.html_baseurl, Path(app.outdir)
    if error or not base:
        return
    pages = [app.builder.get_target_uri(page) for page in sorted(app.env.found_docs)]
    urls = "".join(f"<url><loc>{escape(base + page)}</loc></url>\n" for page in pages)
    schema = "http://www.sitemaps.org/schemas/sitemap/0.9"
    listed = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{schema}">\n{urls}</urlset>\n'
    (out / "sitemap.xml").write_text(listed, encoding="utf-8")
    robots = f"User-agent: *\nAllow: /\nSitemap: {base}sitemap.xml\n"
    (out / "robots.txt").write_text(robots, encoding="utf-8")


def lighten(app, error):
    """Take out of the built site what it brings of the theme and no page loads."""
    static = Path(app.outdir, "_static")
    for path in {path for pattern in UNUSED for path in static.glob(pattern)}:
        path.unlink()
    for path in *static.glob("styles/*.css"), *static.glob("scripts/*.js"):
        text = path.read_text(encoding="utf-8")
        path.write_text(ASKING.sub("", text), encoding="utf-8")


def setup(app):
    app.connect("config-inited", use)
    app.connect("build-finished", lighten)
    app.connect("build-finished", list_pages)
    app.connect("html-page-context", describe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
