"""The former name of `tfnas pretrain --encoder=computation_graph`, with the same flags."""

from trainers import pretrain

if __name__ == "__main__":
    pretrain.run("computation_graph")
