"""Encoders of architectures: one row per method, each with its settings, its learning and its exports.

Importing this package does not import TensorFlow: a row's learning and exports are imported when they are asked for.
"""

import dataclasses
import pkgutil
import typing
from collections.abc import Mapping
from typing import Any

from tfnas import artefacts
from tfnas.encoders.arch2vec import config as arch2vec_config
from tfnas.encoders.colour import config as colour_config
from tfnas.encoders.computation_graph import config as computation_graph_config
from tfnas.encoders.jacobian import config as jacobian_config
from tfnas.encoders.motif import config as motif_config
from tfnas.encoders.settings import Corpora, EncoderConfig, changed_preset
from tfnas.errors import CorruptArtefactError
from tfnas.settings import configured

if typing.TYPE_CHECKING:
    from tfnas.encoders.base import SavedEncoder
    from tfnas.encoders.pretraining import Learning


@dataclasses.dataclass(frozen=True)
class EncoderKind:
    """A row of `ENCODERS`.

    Attributes:
      name: kind of the encoder; the manifest of an export calls it `encoder/NAME`.
      summary: few words on the data and the objective of the encoder.
      presets: settings by name, all of one class.
      inputs: dataclass that names the sources of training data.
      epochs: default number of passes over the data; None for an encoder that is computed in closed form.
      program: name of the program in the `run.json` of a pretraining.
      learning: class of the learning in this package, as `module:Class`.
      export: class of opened exports in this package, as `module:Class`.

    Example:
      >>> ENCODERS["arch2vec"].preset("paper").clip_norm
      0.0
    """

    name: str
    summary: str
    presets: Mapping[str, EncoderConfig]
    inputs: type
    epochs: int | None
    program: str
    learning: str
    export: str

    @property
    def kind(self) -> str:
        """Kind of the exports in their manifests."""
        return f"encoder/{self.name}"

    @property
    def config(self) -> type[EncoderConfig]:
        """Class of the settings."""
        return type(next(iter(self.presets.values())))

    @property
    def pretraining(self) -> "type[Learning]":
        """Class of the learning."""
        return pkgutil.resolve_name(f"{__name__}.{self.learning}")

    @property
    def saved(self) -> "type[SavedEncoder]":
        """Class of opened exports."""
        return pkgutil.resolve_name(f"{__name__}.{self.export}")

    def preset(self, name: str, **changes: Any) -> EncoderConfig:
        """A preset with some fields changed; see `settings.changed_preset`."""
        return changed_preset(self.presets, name, **changes)

    def inputs_from(self, values: Mapping[str, Any]) -> Any:
        """An instance of `inputs`.

        Args:
          values: values of its fields, by name; fields without default are required.

        Raises:
          ConfigurationError: a value is missing.
        """
        return configured(self.name, {row.name: row.inputs for row in ENCODERS.values()}, values)


ENCODERS: dict[str, EncoderKind] = {
    row.name: row
    for row in (
        EncoderKind(
            name="arch2vec",
            summary="cells of a search space, by a variational graph autoencoder",
            presets=arch2vec_config.PRESETS,
            inputs=arch2vec_config.Arch2VecInputs,
            epochs=10,
            program="pretrain_arch2vec",
            learning="arch2vec.task:Arch2VecPretraining",
            export="arch2vec.saved:SavedCellEncoder",
        ),
        EncoderKind(
            name="colour",
            summary="computation graphs by the neighbourhoods of their operators, for retrieval",
            presets=colour_config.PRESETS,
            inputs=Corpora,
            epochs=None,
            program="fit_colours",
            learning="colour.task:ColourFitting",
            export="colour.saved:SavedColourEncoder",
        ),
        EncoderKind(
            name="computation_graph",
            summary="computation graphs of any network, by contrast within families",
            presets=computation_graph_config.PRESETS,
            inputs=Corpora,
            epochs=3,
            program="pretrain_cg_encoder",
            learning="computation_graph.task:GraphPretraining",
            export="computation_graph.saved:SavedGraphEncoder",
        ),
        EncoderKind(
            name="jacobian",
            summary="Jacobians of networks over images, by contrast between initialisations",
            presets=jacobian_config.PRESETS,
            inputs=Corpora,
            epochs=100,
            program="pretrain_jacobian_encoder",
            learning="jacobian.task:JacobianPretraining",
            export="jacobian.saved:SavedJacobianEncoder",
        ),
        EncoderKind(
            name="motif",
            summary="computation graphs by their recurring motifs",
            presets=motif_config.PRESETS,
            inputs=Corpora,
            epochs=20,
            program="train_retrieval",
            learning="motif.task:MotifPretraining",
            export="motif.saved:SavedMotifEncoder",
        ),
    )
}


def kind_of(folder: artefacts.PathLike) -> EncoderKind:
    """The row of the encoder that a folder holds, by its manifest.

    Raises:
      CorruptArtefactError: no manifest, or an artefact of another kind.
    """
    kind = artefacts.manifest_kind(folder)
    for row in ENCODERS.values():
        if row.kind == kind:
            return row
    known = ", ".join(row.kind for row in ENCODERS.values())
    raise CorruptArtefactError(f"{folder}: expected an encoder ({known}), found a {kind!r}")


def load(folder: artefacts.PathLike, *, trust: bool = False) -> "SavedEncoder":
    """The exported encoder in a folder, whichever method made it.

    Args:
      folder: folder of the export.
      trust: True to open a SavedModel that may do more than compute; see `saved_models.load_module`.

    Raises:
      CorruptArtefactError: the folder holds no encoder, or a damaged encoder.
      MismatchError: the encoder was trained with what this version does not know.
      UntrustedModelError: see `saved_models.load_module`.

    Example:
      >>> type(load("saved_models/motif_encoder")).__name__
      'SavedMotifEncoder'
    """
    return kind_of(folder).saved(folder, trust=trust)


__all__ = ["ENCODERS", "EncoderKind", "kind_of", "load"]
