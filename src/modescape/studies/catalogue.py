"""The studies by name; to add one, write its file and its line here."""

from modescape.studies.abstract import Study
from modescape.studies.alignment import Alignment
from modescape.studies.causes import Causes
from modescape.studies.connectors import Connectors
from modescape.studies.cross_sections import CrossSections
from modescape.studies.curvature import Curvature
from modescape.studies.disagreement import Disagreement
from modescape.studies.diversity_accuracy import DiversityAccuracy
from modescape.studies.ensembling import Ensembling
from modescape.studies.shift import Shift
from modescape.studies.subspace_embedding import SubspaceEmbedding
from modescape.studies.trajectories import Trajectories

STUDIES: dict[str, type[Study]] = {
    "trajectories": Trajectories,
    "disagreement": Disagreement,
    "diversity_accuracy": DiversityAccuracy,
    "subspace_embedding": SubspaceEmbedding,
    "connectors": Connectors,
    "alignment": Alignment,
    "cross_sections": CrossSections,
    "ensembling": Ensembling,
    "shift": Shift,
    "curvature": Curvature,
    "causes": Causes,
}
