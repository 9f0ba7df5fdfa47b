"""The errors that tfnas raises for its users' mistakes; every message fits on one line."""


class TfnasError(ValueError):
    """Base class: the input is at fault, and the message says which and what was expected."""


class ConfigurationError(TfnasError):
    """A flag, a configuration field or a combination of them is not usable."""


class ExhaustedError(ConfigurationError):
    """A search was asked for more architectures than there are."""


class InvalidArchitectureError(TfnasError):
    """An architecture, or its encoding, does not belong to its search space."""


class CorruptArtefactError(TfnasError):
    """A file that tfnas reads is damaged, truncated, or not what its manifest says."""


class MismatchError(TfnasError):
    """Two artefacts that are used together do not belong to each other."""


class UntrustedModelError(TfnasError):
    """A SavedModel may do more than compute, and nobody has said that its maker is trusted."""


class LegacyKerasError(TfnasError, ImportError):
    """The process uses Keras 3 where Keras 2 is needed."""
