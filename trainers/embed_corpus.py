"""Embeds a corpus of any size, on this machine or on a cluster.

  tfnas embed_corpus --encoder=cg_encoder --corpus=runs/graphs/corpus --output_dir=OUT
  tfnas embed_corpus ... --beam_option=--runner=FlinkRunner --beam_option=--flink_master=HOST:8081

Cells take an arch2vec encoder, graphs a computation-graph or a motif encoder, Jacobians a Jacobian encoder. OUT gets
OUT/embeddings, a file per shard of the corpus, and summary.json. With --resume only missing shards are done.
"""

from absl import flags

import tfnas
from tfnas import flags as tfnas_flags

_ENCODER = tfnas_flags.define_path("encoder", None, "Encoder: a shipped name or a folder.", required=True)
_CORPUS = tfnas_flags.define_path("corpus", None, "Folder of TFRecord shards.", required=True)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Architectures embedded at a time.", lower_bound=1)
_NUM_WORKERS = flags.DEFINE_integer("num_workers", 2, "Processes on this machine.", lower_bound=1)
_BEAM_OPTIONS = flags.DEFINE_multi_string("beam_option", [], "Flag of an Apache Beam runner; may be repeated.")
_TRUST = tfnas_flags.define_trust()
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.encoders.corpus.embed_corpus`."""
    from tfnas import saved_models
    from tfnas.encoders import corpus as embedding_pipeline

    folder = saved_models.folder(_ENCODER.value)
    encoder, corpus = embedding_pipeline.check(folder, _CORPUS.value)
    settings = {
        "program": "embed_corpus",
        "encoder": tfnas.artefacts.fingerprint(encoder),
        "corpus": tfnas.artefacts.fingerprint(corpus),
    }
    output_dir = tfnas_flags.output_folder(settings)
    summary = embedding_pipeline.embed_corpus(
        folder,
        _CORPUS.value,
        output_dir,
        batch_size=_BATCH_SIZE.value,
        num_workers=_NUM_WORKERS.value,
        beam_options=_BEAM_OPTIONS.value,
        trust=_TRUST.value,
    )
    print(f"{summary['embedded_now']:,} architectures in {summary['seconds']:.1f} s")


if __name__ == "__main__":
    tfnas_flags.run(main)
