"""How a text is drawn: one token (categorical), one text (a file for each kind of sampler), and
texts of any length (blocks, generation)."""
