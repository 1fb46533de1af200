"""One file a figure: its numbers, its caption, its drawing."""
