"""The buttons that open a chapter on Colab and Binder open its copy in student/, without solutions.

Sphinx loads this file as an extension. `make chapters` writes the copies.
"""

from pathlib import PurePosixPath


def open_copies(app, page, template, context, doctree):
    """Turn the addresses that the theme has made, which are those of the page's own notebook."""
    for group in context.get("header_buttons", []):
        if group.get("label") == "launch-buttons":
            for button in group["buttons"]:
                copied = f"/student/{PurePosixPath(page).name}.ipynb"
                button["url"] = button["url"].replace(f"/{page}.ipynb", copied)


def setup(app):
    app.connect("html-page-context", open_copies, priority=900)  # after the theme, which has 500
    return {"parallel_read_safe": True, "parallel_write_safe": True}
