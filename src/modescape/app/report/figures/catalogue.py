"""Every figure of every study, in the order of the page."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from matplotlib.figure import Figure

from modescape.app.report.figures import (
    aligned_lines,
    along_trajectory,
    between_solutions,
    causes,
    connectors,
    detection,
    embedding_map,
    equivalents,
    families,
    function_map,
    function_pairs,
    function_plane,
    learning,
    one_function,
    plane,
    purity,
    section_directions,
    section_planes,
    section_profiles,
    section_sector,
    section_surface,
    severity,
    size_curves,
    spectrum,
    subspace_map,
    subspaces_compared,
    triangles,
    worth,
)
from modescape.tables import Table


class FigureModule(Protocol):
    """What a file in this folder offers; ``numbers`` raises ``Omitted`` where there is nothing to draw."""

    TITLE: str

    def numbers(self, tables: Mapping[str, Table]) -> Any:
        """Everything that is drawn, from the tables of one study."""

    def caption(self, numbers: Any) -> str:
        """What there is to see, with the numbers in words."""

    def draw(self, numbers: Any) -> Figure:
        """The picture."""


FIGURES: dict[str, list[tuple[str, FigureModule]]] = {
    "ensembling": [("size_curves", size_curves), ("worth", worth), ("equivalents", equivalents)],
    "shift": [("severity", severity), ("families", families), ("detection", detection)],
    "disagreement": [
        ("function_pairs", function_pairs),
        ("function_plane", function_plane),
        ("function_map", function_map),
    ],
    "trajectories": [
        ("one_function", one_function),
        ("along_trajectory", along_trajectory),
        ("between_solutions", between_solutions),
        ("embedding_map", embedding_map),
        ("learning", learning),
    ],
    "diversity_accuracy": [("plane", plane), ("subspaces_compared", subspaces_compared)],
    "subspace_embedding": [("subspace_map", subspace_map), ("purity", purity)],
    "connectors": [("connectors", connectors), ("triangles", triangles)],
    "alignment": [("aligned_lines", aligned_lines)],
    "cross_sections": [
        ("sector", section_sector),
        ("profiles", section_profiles),
        ("solution_planes", section_planes),
        ("directions", section_directions),
        ("surface", section_surface),
    ],
    "curvature": [("spectrum", spectrum)],
    "causes": [("causes", causes)],
}
"""Study name -> (file stem, module)."""

SCENES: dict[str, Callable[[Any], dict[str, Any]]] = {"surface": section_surface.scene}
"""File stem -> what a script draws in place of the picture, where the browser can."""
