"""The models that write in the pages: a folder of the site, made anew in every build.

Sphinx loads this file as an extension. A page shows them by

    <script type="module" src="../_static/live/race.js"></script>
    <nano-race given="la some hens">what stands there without scripts</nano-race>
"""

from pathlib import Path

from nanoparadigm.show import live

STATIC = Path(__file__).parent / "_fresh/static"


def use(app, config):
    live.write(STATIC / "live")
    config.html_static_path.append(str(STATIC))


def setup(app):
    app.connect("config-inited", use)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
