"""Show models at work: figures, animations, the demo, and how two models differ."""
