"""The ways by name; to add one, write its file and its line here."""

from modescape.core.engine.data_parallel import DataParallel
from modescape.core.engine.processes import Processes
from modescape.core.engine.serial import Serial
from modescape.core.engine.stacked import Stacked
from modescape.core.engine.streams import Graph, StackedGraph, Streams
from modescape.core.engine.threads import Threads
from modescape.core.engine.way import Way

WAYS: dict[str, Way] = {
    "serial": Serial(),
    "threads": Threads(),
    "processes": Processes(),
    "stacked": Stacked(),
    "graph": Graph(),
    "streams": Streams(),
    "stacked-graph": StackedGraph(),
    "data_parallel": DataParallel(),
}
"""In the order of their demands: of two equally fast ones, the first is chosen."""
