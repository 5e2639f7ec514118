"""Where waiting sessions run: a pure plan over a view, and the loop that applies it."""
