"""What Matplotlib has drawn as SVG becomes part of the page. Sphinx loads this as an extension.

As a part of the page, and not as a picture in it, a figure follows the theme, light or dark: its
black is the colour of the text, its white the ground of the page. All other images stay images.
"""

import re
from pathlib import Path
from xml.etree import ElementTree

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

XML = "{http://www.w3.org/XML/1998/namespace}"
PAPER = "var(--pst-color-background, #fff)"
GREY = re.compile(r"#(..)\1\1")
COLOUR = re.compile(r"#[0-9a-f]{6}")
# What a group, a marker or a clip path is referred to by, and what refers to it.
REFERENCE = re.compile(r"url\(#([^)]+)\)|^#(.+)$")
# Without Matplotlib's own font, the one that is as wide: each letter of a formula has its place.
FORMULA = "'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif"


def inline(svg, alt="", prefix="", width=None):
    """The element of HTML that shows what this file of Matplotlib's shows.

    alt: what a screen reader says. prefix: what makes its ids unique on a page. width: as CSS, at
    most; without one, the size at which it was drawn.
    """
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.partition("}")[2]  # HTML has no namespaces
    clean(root)
    used = {id for element in root.iter() for value in element.attrib.values() for id in ids(value)}
    for element in root.iter():
        element.attrib = dict(attributes(element, used, prefix))
        if element.tag not in ("text", "tspan"):
            element.text = element.text if (element.text or "").strip() else None
        element.tail = None
    across = float(root.get("viewBox").split()[2]) * 4 / 3  # points are three quarters of a pixel
    root.attrib = {
        "viewBox": root.get("viewBox"),
        **({"role": "img", "aria-label": alt} if alt else {"aria-hidden": "true"}),
        "class": "drawn",
        "style": f"width:100%;max-width:{width or f'{across:.0f}px'};height:auto;"
        "stroke-linejoin:round;stroke-linecap:butt",
        "fill": "currentColor",
    }
    return ElementTree.tostring(root, encoding="unicode")


def clean(root):
    """Take out the grounds, the notes on the file and the styles, which would hold for the page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "style"):
                parent.remove(child)
        if parent.get("id", "").startswith(("figure_", "axes_")) and len(parent):
            first = parent[0]  # the ground of a figure or of its axes, which nothing clips
            path = first.find("path")
            if path is not None and path.attrib.keys() == {"d", "style"}:
                if path.get("style") == "fill: #ffffff":
                    parent.remove(first)


def ids(value):
    """The ids that the value of an attribute refers to."""
    return [a or b for a, b in REFERENCE.findall(value)]


def attributes(element, used, prefix):
    """The attributes (name, value) that the element has on the page."""
    for name, value in element.attrib.items():
        name = name.replace(XML, "xml:").rpartition("}")[2]  # xlink:href is href today
        if name == "style":
            value = "; ".join(styles(element, value))
        elif name == "id":
            value = prefix + value if value in used else ""
        elif name == "transform":
            value = "" if value.startswith("rotate(-0 ") else value
        for id in ids(value):
            value = value.replace(f"#{id}", f"#{prefix}{id}")
        if value:
            yield name, value


def styles(element, style):
    """The declarations that stand on the page for those of a style."""
    text = element.tag in ("text", "tspan")
    for declaration in filter(None, style.split("; ")):
        name, _, value = declaration.partition(": ")
        if name in ("fill", "stroke", "stop-color"):
            value = ink(value, text)
        if name == "font-family":
            if value == FORMULA[0]:
                value = FORMULA[1]
            elif value.endswith(", sans-serif"):
                continue  # words are set in the type of the page
        yield f"{name}: {value}"


def ink(colour, text=False):
    """The colour that stands on the page for one of the file, on letters or elsewhere.

    Greys are mixed of ink and paper; those in the middle can be seen on either. A colour that is
    light enough for a line is too light for letters, so those are mixed with ink, as they are dark
    on a light page and light on a dark one.
    """
    if not COLOUR.fullmatch(colour):
        return colour
    if grey := GREY.fullmatch(colour):
        dark = 100 - round(int(grey[1], 16) / 2.55)
        if dark == 100:
            return "currentColor"
        if dark == 0:
            return colour if text else PAPER  # white letters stand on a colour
        if not 35 < dark < 65:
            return f"color-mix(in srgb, currentColor {dark}%, {PAPER})"
    return f"color-mix(in srgb, {colour} 60%, currentColor)" if text else colour


class Inline(SphinxPostTransform):
    """Puts the figures into the page after its language and its outputs are chosen."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs):
        for number, image in enumerate(list(self.document.findall(nodes.image))):
            path = Path(self.env.srcdir, image["uri"])
            if path.suffix != ".svg" or not path.is_file():
                continue
            svg = path.read_text(encoding="utf-8")
            if "<dc:title>Matplotlib v" not in svg[:2000]:
                continue
            html = inline(svg, image.get("alt", ""), f"drawn-{number}-", image.get("width"))
            image.replace_self(nodes.raw("", html, format="html"))


def setup(app):
    app.add_post_transform(Inline)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
