from .http import application as application
from .http import serve as serve
from .limits import Limits as Limits
from .servable import Servable as Servable
