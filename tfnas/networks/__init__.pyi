from .registry import NETWORKS as NETWORKS
from .registry import Network as Network
from .registry import build_network as build_network
from .registry import network_of as network_of
from .symbolic import build as build
