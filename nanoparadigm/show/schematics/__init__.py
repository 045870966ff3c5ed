"""The schematics of the book, drawn by code: a file a chapter, a function a picture."""
