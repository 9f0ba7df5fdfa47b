"""Exports the encoder of a pretraining run from its last checkpoint, finished or not.

  tfnas export --run_dir=RUN --output_dir=OUT

OUT gets the SavedModel OUT/encoder, training.png, metrics.jsonl and summary.json.
"""

from tfnas import flags as tfnas_flags

_RUN_DIR = tfnas_flags.define_path(
    "run_dir", None, "Output folder of `tfnas pretrain`, for any encoder.", required=True
)
tfnas_flags.define_output()


def main() -> None:
    """Flags -> `tfnas.encoders.runs.export_checkpoint`."""
    from tfnas.encoders import runs

    run = runs.read_run(_RUN_DIR.value)  # before the output folder is made
    output_dir = tfnas_flags.output_folder({"program": "export", "run_dir": _RUN_DIR.value})
    summary = runs.export_checkpoint(run, output_dir)
    print(
        f"{output_dir / 'encoder'}: weights after epoch {summary['epoch']} and {summary['steps_beyond_epoch']} updates"
    )


if __name__ == "__main__":
    tfnas_flags.run(main)
