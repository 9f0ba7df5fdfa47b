from .scores import ProxyProgram as ProxyProgram
from .spaces import network_scores as network_scores
from .spaces import scorer as scorer
from .tables import read_scores as read_scores
from .tables import score_cells as score_cells

PROXIES: tuple[str, ...]
