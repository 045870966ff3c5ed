"""How a text is drawn.

One token (categorical), one text (a file for each kind of sampler), and texts of any length
(blocks, generation). What a sampler asks of a model is in protocols.
"""
