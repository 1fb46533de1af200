"""The questions, one file each: settings -> tasks -> tables; no mathematics, no disk."""
