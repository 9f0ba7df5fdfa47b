from . import diagrams as diagrams
from . import figures as figures
from . import fronts as fronts
from . import tables as tables
