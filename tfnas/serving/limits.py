"""What a server allows its clients to take."""

import dataclasses

from tfnas.errors import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Limits:
    """Bounds on requests; every bound is a flag of `tfnas serve`.

    Attributes:
      request_mib: Largest body of a request in MiB.
      request_values: Most numbers and strings in a request.
      instances: Most rows in a request.
      batch_rows: Most rows that a model computes at a time.
      waiting_mib: Most MiB of bodies that are held at a time, over all requests.
      connections: Most connections at a time.
      read_seconds: Longest time in seconds in which a request must arrive.
      predict_seconds: Longest time in seconds that a request waits for its model.
      shutdown_seconds: Longest time in seconds in which requests are finished after SIGTERM or SIGINT.

    Raises:
      ConfigurationError: a bound that is not positive.
    """

    request_mib: int = 32
    request_values: int = 4_000_000
    instances: int = 4096
    batch_rows: int = 64
    waiting_mib: int = 256
    connections: int = 1024
    read_seconds: float = 30.0
    predict_seconds: float = 60.0
    shutdown_seconds: int = 10

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if value <= 0:
                raise ConfigurationError(f"{name}={value}, expected a positive number")
