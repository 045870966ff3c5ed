"""The models that write in the pages: a folder of the site, made anew in every build.

Sphinx loads this file as an extension. A page shows them by

    <script type="module" src="../_static/live/race.js"></script>
    <nano-race given="la some hens">what stands there without scripts</nano-race>
"""

import re
from pathlib import Path

from nanoparadigm.show.live import write

STATIC = Path(__file__).parent / "_fresh/static"
# What the first word of a race waits for. The rest of a page may come after it.
FIRST = """
    <link rel="modulepreload" href="{live}/race.js">
    <link rel="modulepreload" href="{live}/kit.js">
    <link rel="modulepreload" href="{live}/language.js">
    <link rel="preload" as="fetch" crossorigin href="{live}/live.json">
    <link rel="preload" as="fetch" crossorigin href="{model}/config.json">
    <link rel="preload" as="fetch" crossorigin href="{model}/model.safetensors">"""


def use(app, config):
    write(STATIC / "live")
    config.html_static_path += [str(STATIC)]


def hurry(app, pagename, templatename, context, doctree):
    """Let a page on which models begin to write by themselves ask for the first of them at once."""
    if re.search(r"<nano-race [^>]*\bplay\b", context.get("body", "")):
        live = context["pathto"]("_static/live", resource=True)
        more = FIRST.format(live=live, model=f"{live}/models/language/ar")
        context["metatags"] = more + (context.get("metatags") or "")


def setup(app):
    app.connect("config-inited", use)
    app.connect("html-page-context", hurry, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
