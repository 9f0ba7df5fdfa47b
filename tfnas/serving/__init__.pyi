from .http import application as application
from .http import serve as serve
from .requests import Servable as Servable
