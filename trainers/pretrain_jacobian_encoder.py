"""The former name of `tfnas pretrain --encoder=jacobian`, with the same flags."""

from trainers import pretrain

if __name__ == "__main__":
    pretrain.run("jacobian")
