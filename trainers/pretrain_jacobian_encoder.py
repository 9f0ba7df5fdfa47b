"""The former name of `python -m trainers.pretrain --encoder=jacobian`, with the same flags."""

from trainers import pretrain

if __name__ == "__main__":
    pretrain.run("jacobian")
