"""The networks: plain modules, initialised by their own constructors."""
