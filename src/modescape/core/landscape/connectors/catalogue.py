"""The connectors by name; to add one, write its file and its line here."""

from modescape.core.landscape.connectors.abstract import Connector
from modescape.core.landscape.connectors.bent import Bent
from modescape.core.landscape.connectors.bezier import Bezier
from modescape.core.landscape.connectors.elastic_band import ElasticBand
from modescape.core.landscape.connectors.polygon import Polygon
from modescape.core.landscape.connectors.star import Star
from modescape.core.landscape.connectors.straight import Straight

CONNECTORS: dict[str, type[Connector]] = {
    "straight": Straight,
    "bent": Bent,
    "polygon": Polygon,
    "bezier": Bezier,
    "elastic_band": ElasticBand,
    "star": Star,
}
"""Name -> the class of its settings."""
