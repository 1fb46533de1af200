"""How tasks get performed."""
