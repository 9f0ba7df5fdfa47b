"""The former name of `python -m trainers.pretrain --encoder=arch2vec`, with the same flags."""

from trainers import pretrain

if __name__ == "__main__":
    pretrain.run("arch2vec")
