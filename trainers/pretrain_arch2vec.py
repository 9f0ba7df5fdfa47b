"""The former name of `tfnas pretrain --encoder=arch2vec`, with the same flags."""

from trainers import pretrain

if __name__ == "__main__":
    pretrain.run("arch2vec")
