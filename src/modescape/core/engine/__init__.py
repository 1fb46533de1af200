"""How many networks run at once: one narrow interface, a way a file."""
