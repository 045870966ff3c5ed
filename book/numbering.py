"""Equations, exercises and figures are numbered within a chapter: 4.3 is the third of chapter 4.

Sphinx loads this file as an extension. It numbers within numbered sections only, and a chapter's
number stands in its file name: that number is lent to Sphinx for as long as it counts. Figures of
pages that are no chapters have captions without a number.
"""

import re
from pathlib import PurePosixPath

from sphinx.environment.collectors.toctree import TocTreeCollector


def chapter(page):
    """The number in a page's name, such as "6b", or None where the page is no chapter."""
    found = re.match(r"0*(\d+b?)-", PurePosixPath(page).name)
    return found and found[1]


def count(app, env):
    lent = env.toc_secnumbers
    found = {page: chapter(page) for page in env.found_docs}
    env.toc_secnumbers = {page: {"": (number,)} for page, number in found.items() if number}
    changed = TocTreeCollector().assign_figure_numbers(env)
    env.toc_secnumbers = lent
    for page, kinds in env.toc_fignumbers.items():
        if not found.get(page):
            kinds.pop("figure", None)
    return changed


def setup(app):
    app.connect("env-get-updated", count, priority=900)  # after Sphinx has counted in its own way
    return {"parallel_read_safe": True, "parallel_write_safe": True}
