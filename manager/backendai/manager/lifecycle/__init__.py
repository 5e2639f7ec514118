"""How kernels live: the moves, what is decided about them, and the loops that carry it out."""
