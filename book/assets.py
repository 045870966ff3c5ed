"""What the pages need that no Python package carries, brought once from npm into book/_static.

python book/assets.py      bring what is missing, or say in one sentence why it stays missing

Sphinx loads this file as an extension: the pages use what has been brought, and for what has not
they turn to the networks, as any Jupyter Book does. A page without widgets loads only the letters
and MathJax.
"""

import hashlib
import subprocess
import tarfile
import tempfile
from base64 import b64encode
from fnmatch import fnmatch
from pathlib import Path

STATIC = Path(__file__).parent / "_static"

# What npm calls it -> the SHA-512 that npm states for it, and the parts of it that a page may load.
PACKAGES = {
    "mathjax@3.2.2": (
        "Bt+SSVU8eBG27zChVewOicYs7Xsdt40qm4+UpHyX7k0/O9NliPc+x77k1/FEsPsjKPZGJvtRZM1vO+geW0OhGw==",
        (
            "LICENSE",
            "es5/tex-mml-chtml.js",
            "es5/output/chtml/fonts/woff-v2/*",
            "es5/input/tex/extensions/*",
        ),
    ),
    "@fontsource-variable/source-sans-3@5.3.1": (
        "u0p5Z/PM2e1uxYOMiodLM6NVzxHwULcB6Oi7QSr2WU/sdoLBFP/BeOZ3YYHeJ6rHsjPZA1nZweZVaV7sf2MAyQ==",
        ("LICENSE", "files/source-sans-3-latin-wght-*.woff2"),
    ),
}
# The same for pages with widgets: without a saved widget in a notebook nobody brings or ships them.
FOR_WIDGETS = {
    "requirejs@2.3.6": (
        "ipEzlWQe6RK3jkzikgCupiTbTvm4S0/CAU5GlgptkN5SO6F3u0UD0K18wy6ErDqiCyP4J4YYe1HuAShvsxePLg==",
        ("require.js",),
    ),
    "@jupyter-widgets/html-manager@1.0.14": (
        "wglgQQ+VMj+MBKkTttdeoMtOah/H2A1w5GU1OAVXmDQqZYTK6C+oHZjQMxcNezIpiqUjC1YHKOo5XdP3ENvBng==",
        ("LICENSE", "dist/embed-amd.js", "dist/*.woff2"),
    ),
}
# For the decks of book/slides.py, which brings it. The site neither ships nor loads it.
FOR_SLIDES = {
    "reveal.js@5.2.1": (
        "r7//6mIM5p34hFiDMvYfXgyjXqGRta+/psd9YtytsgRlrpRzFv4RbH76TXd2qD+7ZPZEbpBDhdRhJaFgfQ7zNQ==",
        ("LICENSE", "dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js"),
    ),
}
SAVED = "application/vnd.jupyter.widget-state+json"

# Python 3.11.4 and later can refuse members that point elsewhere; ours are named one by one
FILTER = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}


def folder(package):
    """Its folder in book/_static, which is there only when it is complete."""
    return STATIC / package.removeprefix("@").replace("/", "-").replace("@", "-")


def wanted():
    """The packages that this book needs, and what stands above of each."""
    notebooks = STATIC.parent.glob("*.ipynb")
    widgets = any(SAVED in path.read_text(encoding="utf-8") for path in notebooks)
    return PACKAGES | FOR_WIDGETS if widgets else PACKAGES


def missing(packages):
    return [package for package in packages if not folder(package).exists()]


def bring(packages):
    """Download, compare with the hash, unpack beside the place it will have, and move it there."""
    STATIC.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STATIC.parent, prefix=".assets-") as temporary:
        command = (
            "npm pack --loglevel=error --fetch-retries=1 --fetch-retry-mintimeout=1000".split()
        )
        npm = subprocess.run(
            [*command, *packages], cwd=temporary, capture_output=True, text=True, timeout=300
        )
        if npm.returncode:
            raise OSError("; ".join(npm.stderr.splitlines()[:2]))
        for package in packages:
            stated, parts = (PACKAGES | FOR_WIDGETS | FOR_SLIDES)[package]
            archive = Path(temporary, folder(package).name + ".tgz")
            found = b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
            if found != stated:
                raise OSError(f"what npm brought as {package} is not what it was: {found}")
            unpacked = Path(temporary, folder(package).name)
            with tarfile.open(archive) as tar:
                for member in tar:
                    member.name = member.name.removeprefix("package/")
                    if any(fnmatch(member.name, pattern) for pattern in parts):
                        tar.extract(member, unpacked, **FILTER)
            unpacked.rename(folder(package))


def use(app, config):
    """Sphinx: what lies in book/_static becomes part of the site and is what the pages load.

    There is no `crossorigin` among the attributes: with it a page opened as a file loads nothing.
    """
    config.html_static_path += [str(STATIC.parent / "wide.css")]
    config.html_css_files += ["wide.css"]
    mathjax, letters = map(folder, PACKAGES)
    require, manager = map(folder, FOR_WIDGETS)
    if STATIC.exists():
        config.html_static_path += [str(STATIC), str(STATIC.parent / "widgets.js")]
        unused = {*FOR_WIDGETS, *FOR_SLIDES} - set(wanted())
        config.exclude_patterns += [folder(package).name for package in unused]
    if letters.exists():
        config.html_static_path += [str(STATIC.parent / "type.css")]
        config.html_css_files += ["type.css"]
    if mathjax.exists():
        config.mathjax_path = f"{mathjax.name}/es5/tex-mml-chtml.js"
    if require.exists() and manager.exists():
        config.nb_ipywidgets_js = {
            f"{require.name}/require.js": {},
            "widgets.js": {"data-home": f"{manager.name}/dist"},
            f"{manager.name}/dist/embed-amd.js": {"data-jupyter-widgets-cdn": ""},
        }


def setup(app):
    app.connect("config-inited", use)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


if __name__ == "__main__":
    if packages := missing(wanted()):
        try:
            bring(packages)
        except (OSError, subprocess.SubprocessError) as error:
            names = ", ".join(packages)
            print(f"The pages load {names} from the network, for npm did not bring them: {error}")
