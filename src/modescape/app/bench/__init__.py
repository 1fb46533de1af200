"""Speed, side by side: modescape and its peers at the same work in one run."""
