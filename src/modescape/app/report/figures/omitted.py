"""Say why a figure cannot be drawn from the tables at hand."""


class Omitted(Exception):
    """The tables hold nothing for this figure; the message is a whole sentence for the reader of the report."""
