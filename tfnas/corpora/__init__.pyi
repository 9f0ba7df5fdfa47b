from .builder import build_corpus as build_corpus
from .cells import load_cells as load_cells
from .cells import write_cells as write_cells
from .graphs import load_graphs as load_graphs
from .graphs import read_graphs as read_graphs
from .graphs import write_graphs as write_graphs
