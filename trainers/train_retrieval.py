"""The former name of `tfnas pretrain --encoder=motif`, with the same flags."""

from trainers import pretrain

if __name__ == "__main__":
    pretrain.run("motif")
