"""Everything that touches the world: disk, screen, clock, processes."""
