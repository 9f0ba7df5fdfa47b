"""Flags that contradict each other or name what is not there: one line, no traceback, nothing written."""

import pytest

from tests.fork import run
from tfnas.search import STRATEGIES


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("pretrain", ["--corpus=x"], "--encoder is missing, expected one of arch2vec, colour, computation_graph"),
        (
            "pretrain",
            ["--encoder=resnet"],
            "--encoder=resnet: value should be one of <arch2vec|colour|computation_graph|",
        ),
        ("pretrain", ["--encoder=motif", "--space=nasbench201"], "Unknown command line flag 'space'"),
        ("pretrain", ["--encoder", "jacobian"], "jacobian needs a value of corpus"),
        ("pretrain_arch2vec", ["--space=nasbench404"], "nasbench404"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--preset=magic"], "magic"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--pooling=max"], "pooling='max', expected one of sum, mean"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--hidden_dims=12,x"], "'x' is not a whole number"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--strategy=tpu"], "unknown strategy 'tpu'"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--corpus=/nothing"], "/nothing/manifest.json: no such file"),
        ("pretrain_arch2vec", ["--space=nasbench201", "--epoch=3"], "epoch"),
        ("embed", ["--encoder=/nothing"], "'/nothing': neither an existing folder nor the name of a shipped model"),
        ("search", ["--encoder=/nothing"], "'/nothing': neither an existing folder nor the name of a shipped model"),
        ("search", ["--benchmark=trained"], "trained needs a value of data"),
        ("search", ["--benchmark=trained", "--data=/nothing.npz"], "/nothing.npz: no such file"),
        ("search", ["--benchmark=digits201", "--test_column=x"], "no column 'x' in the table, expected one of flops"),
        (
            "search",
            ["--benchmark=table", "--table=/nothing.npz"],
            "table needs a value of validation_column, test_column",
        ),
        (
            "search",
            ["--encoder=saved_models/arch2vec_nasbench201", "--strategy=bo,magic"],
            f"unknown strategy 'magic', expected one of {', '.join(STRATEGIES)}",
        ),
        (
            "search",
            ["--benchmark=digits201", "--workers=2"],
            "the benchmark trains nothing; drop --workers and --trial_log",
        ),
        (
            "search",
            ["--encoder=saved_models/arch2vec_nasbench101"],
            "an encoder of nasbench101, expected one of nasbench201",
        ),
        (
            "reproductions arch2vec",
            ["--experiment=table9"],
            "unknown experiment 'table9', expected all or table1, table2",
        ),
        ("export", ["--run_dir=/nothing"], "/nothing/run.json: no such file"),
        ("embed", ["--encoder=saved_models/arch2vec_nasbench201", "stray"], "stray"),
        ("build_corpus", ["--spaces=darts"], "--spaces=darts, expected space:count"),
        ("pretrain_cg_encoder", ["--corpus=/nothing"], "/nothing/manifest.json: no such file"),
        ("pretrain_cg_encoder", ["--corpus=/nothing", "--loss=triplet"], "loss='triplet', expected one of spectral"),
        ("train_predictor", [], "nothing to learn from; pass --benchmarks or --corpus"),
        ("train_predictor", ["--benchmarks=digits201:x"], "--benchmarks=digits201:x: expected a name, or a name and"),
        ("train_predictor", ["--benchmarks=digits201", "--encoder=/nothing"], "'/nothing': neither an existing folder"),
        ("score_proxies", ["--data=/nothing.npz"], "pass either --space or --model"),
        ("score_proxies", ["--data=x", "--model=x", "--architectures=x"], "--architectures goes with --space"),
        ("embed", ["--encoder=arch2vec_nasbench201", "--corpus=x", "--architectures=x"], "either --corpus or --archit"),
        ("extract_jacobians", ["--data=/nothing.npz"], "/nothing.npz: no such file"),
        ("extract_jacobians", ["--data=/", "--outputs=max"], "outputs='max', expected one of sum, classes"),
        ("pretrain_jacobian_encoder", ["--corpus=/nothing"], "/nothing/manifest.json: no such file"),
        ("score_proxies", ["--data=x.npz", "--space=nasbench201", "--proxies=naswot"], "proxies naswot, expected some"),
        ("reproductions jacobian", ["--queries=19"], "queries=19, expected at least 20"),
        (
            "search",
            ["--strategy=evolution", "--guide=predictor", "--proxy=parameters"],
            "--guide=proxy goes with --proxy",
        ),
        (
            "search",
            ["--benchmark=digits201", "--objective=accuracy,speed"],
            "--objective=speed: expected one of accuracy, parameters",
        ),
        ("search", ["--benchmark=function", "--space=mobilenetv3"], "function needs a value of accuracy"),
        ("train_retrieval", ["--corpus=/nothing"], "/nothing/manifest.json: no such file"),
        ("train_retrieval", ["--corpus=/nothing", "--splitting=x"], "splitting='x', expected one of motifs, bigram"),
        ("build_index", [], "--corpus is empty; expected a corpus, or --add_to with --remove or --fit"),
        ("build_index", ["--fit", "--encoder=cg_encoder"], "--fit computes an encoder, and --encoder names another"),
        ("build_index", ["--corpus=/nothing", "--remove=x"], "--remove needs the index of --add_to"),
        ("reproductions retrieval", ["--epochs=1,2"], "epochs=(1, 2), expected three positive numbers"),
    ],
)
def test_one_line_for_a_mistake(name, arguments, message, tmp_path):
    done = run(name, *arguments, f"--output_dir={tmp_path / 'out'}")
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
