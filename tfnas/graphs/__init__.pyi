from .computation_graph import ComputationGraph as ComputationGraph
from .drawing import draw_computation_graph as draw_computation_graph
from .drawing import operator_table as operator_table
from .importers import FORMATS as FORMATS
from .importers import import_model as import_model
from .operators import OPERATORS as OPERATORS
from .packed import PackedGraphs as PackedGraphs
from .packed import pack as pack
