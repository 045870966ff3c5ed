"""A function that somebody wrote: called, and what goes wrong with it said in plain words."""
