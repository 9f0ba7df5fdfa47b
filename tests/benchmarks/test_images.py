"""Images to train on: every file and folder that a user may bring, and one clear line for every fault."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.fork import ROOT
from tfnas.benchmarks.trained.images import ImageData, load_images
from tfnas.errors import ConfigurationError, CorruptArtefactError


@pytest.fixture(scope="module")
def digits():
    return ImageData.digits()


@pytest.fixture(scope="module")
def pixels():
    """100 images `[100, 5, 4, 3]`."""
    return np.random.default_rng(0).integers(0, 256, (100, 5, 4, 3), np.uint8)


def test_digits_are_disjoint_and_balanced(digits):
    parts = [digits.train, digits.validation, digits.test]
    assert [len(labels) for _, labels in parts] == [200, 798, 799]
    everything = np.concatenate([images.reshape(len(images), -1) for images, _ in parts])
    assert len(np.unique(everything, axis=0)) == 1797
    for _, labels in parts:
        np.testing.assert_allclose(np.bincount(labels, minlength=10) / len(labels), 0.1, atol=0.015)


def test_npz_files(tmp_path, rng):
    images = rng.integers(0, 256, (100, 5, 4, 3), np.uint8)
    labels = np.arange(100) % 4
    np.savez(tmp_path / "one.npz", images=images, labels=labels)
    one = load_images(tmp_path / "one.npz")
    assert [len(part[1]) for part in (one.train, one.validation, one.test)] == [60, 20, 20]
    np.testing.assert_allclose(one.train[0].mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(one.train[0].std(axis=(0, 1, 2)), 1, atol=1e-5)
    assert one.fingerprint == load_images(tmp_path / "one.npz").fingerprint
    np.savez(tmp_path / "two.npz", x_train=images[:80], y_train=labels[:80], x_test=images[80:], y_test=labels[80:])
    two = load_images(tmp_path / "two.npz")
    assert [len(part[1]) for part in (two.train, two.validation, two.test)] == [64, 16, 20]
    np.testing.assert_array_equal(two.test[1], labels[80:])
    raw = two.test[0] * np.float32(two.pixel_deviation) + np.float32(two.pixel_mean)
    np.testing.assert_allclose(raw, images[80:], atol=1e-3)
    grey = ImageData.split(images[..., 0], labels)
    assert grey.train[0].shape == (60, 5, 4, 1)


def test_folder_of_images(tmp_path, rng):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for number in range(10):
            pixels = rng.integers(0, 256, (6, 6, 3), np.uint8)
            (tmp_path / name / f"{number}.png").write_bytes(tf.io.encode_png(pixels).numpy())
    data = load_images(tmp_path)
    assert (data.num_classes, data.class_names) == (2, ("cat", "dog"))
    assert data.train[0].shape == (12, 6, 6, 3)
    odd = tmp_path / "dog" / "odd.png"
    odd.write_bytes(tf.io.encode_png(np.zeros((7, 6, 3), np.uint8)).numpy())
    with pytest.raises(ConfigurationError, match=r"odd\.png: 7 x 6 pixels, others 6 x 6"):
        load_images(tmp_path)
    assert load_images(tmp_path, image_size=4).train[0].shape[1:] == (4, 4, 3)
    odd.write_bytes(b"no image")
    with pytest.raises(CorruptArtefactError, match=r"odd\.png: not an image"):
        load_images(tmp_path)
    odd.unlink()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorruptArtefactError, match="no image files"):
        load_images(tmp_path)
    with pytest.raises(CorruptArtefactError, match="0 folders"):
        load_images(tmp_path / "empty")


def test_tf_data(digits):
    parts = [
        tf.data.Dataset.from_tensor_slices((images[:50], labels[:50]))
        for images, labels in (digits.train, digits.validation, digits.test)
    ]
    data = ImageData.from_datasets(*parts)
    np.testing.assert_array_equal(data.test[1], digits.test[1][:50])
    with pytest.raises(ConfigurationError, match="empty"):
        ImageData.from_datasets(parts[0], parts[1], parts[2].take(0))


def test_bad_images(tmp_path, digits):
    images, labels = digits.train
    for bad_images, bad_labels, message in (
        (images[..., 0], labels, "images have shape"),
        (images, labels[:5], "labels have shape"),
        (images, labels + 5, "expected .* 0 to 9"),
        (np.where(images > 0.9, np.nan, images), labels, "NaN"),
        (images[:0], labels[:0], "images have shape"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            ImageData((bad_images, bad_labels), digits.validation, digits.test, 10)
    np.savez(tmp_path / "other.npz", pictures=images)
    with pytest.raises(CorruptArtefactError, match=r"holds pictures; expected images and labels \(or x and y\)"):
        load_images(tmp_path / "other.npz")
    np.savez(tmp_path / "few.npz", images=images[:3], labels=np.arange(3))
    with pytest.raises(ConfigurationError, match="3 images can't be split"):
        load_images(tmp_path / "few.npz")


ROWS = np.arange(100)


@pytest.mark.parametrize(
    ("labels", "names", "cycle"),
    [
        (ROWS % 4, ("0", "1", "2", "3"), (0, 1, 2, 3)),
        (ROWS % 5 + 1, ("1", "2", "3", "4", "5"), (0, 1, 2, 3, 4)),
        (np.array([40, -7, 1000])[ROWS % 3], ("-7", "40", "1000"), (1, 0, 2)),
        (np.array([2**32, 0, 1])[ROWS % 3], ("0", "1", "4294967296"), (2, 0, 1)),
        (np.array([3.0, 2.0])[ROWS % 2], ("2", "3"), (1, 0)),
        (ROWS % 2 == 0, ("0", "1"), (1, 0)),
        (np.array(["owl", "cat", "ähre"])[ROWS % 3], ("cat", "owl", "ähre"), (1, 0, 2)),
        (np.array([b"owl", b"cat"])[ROWS % 2], ("cat", "owl"), (1, 0)),
        ((ROWS % 4)[:, None], ("0", "1", "2", "3"), (0, 1, 2, 3)),
        (np.eye(4)[ROWS % 4], ("0", "1", "2", "3"), (0, 1, 2, 3)),
        (np.eye(6, dtype=bool)[1 + 2 * (ROWS % 3)], ("1", "3", "5"), (0, 1, 2)),
    ],
)
def test_labels_are_classes_with_names(pixels, tmp_path, labels, names, cycle):
    """Image i is of class `cycle[i % len(cycle)]`, whichever set the image is in."""
    np.savez(tmp_path / "data.npz", x=pixels, y=labels)
    data = load_images(tmp_path / "data.npz")
    assert (data.class_names, data.num_classes) == (names, len(names))
    rows = {image.tobytes(): row for row, image in enumerate(pixels)}
    for images, numbers in (data.train, data.validation, data.test):
        raw = np.rint(images * np.float32(data.pixel_deviation) + np.float32(data.pixel_mean)).astype(np.uint8)
        assert numbers.tolist() == [cycle[rows[image.tobytes()] % len(cycle)] for image in raw]


def test_data_tell_their_sizes_and_names(pixels):
    text = str(ImageData.split(pixels, np.arange(100) % 5 + 1))
    assert text == (
        "100 images of 5 x 4 x 3 (60 train, 20 validate, 20 test); 5 classes, numbered from 0: 1, 2, 3, 4, 5"
    )
    many = ImageData.split(np.concatenate([pixels] * 2), np.arange(200) % 20)
    assert str(many).endswith("20 classes, numbered from 0: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ..., 19")


LABELS = ROWS % 4
FAULTS = {
    "more images than labels": ({"labels": LABELS[:90]}, "images holds 100 images and labels 90 labels"),
    "fewer images than labels": ({"labels": np.arange(110) % 4}, "images holds 100 images and labels 110 labels"),
    "halves": ({"labels": LABELS / 2}, "labels holds 0.5, expected text, or whole numbers"),
    "labels that are NaN": ({"labels": np.where(LABELS == 1, np.nan, LABELS)}, "labels holds nan, expected"),
    "large floats": ({"labels": LABELS * 1e20}, r"labels holds 1e\+20, expected"),
    "large numbers": ({"labels": np.uint64(2**63) + LABELS.astype(np.uint64)}, "labels holds 9223372036854775808"),
    "dates": ({"labels": LABELS.astype("datetime64[D]")}, r"labels is of type datetime64\[D\], expected text"),
    "one class": ({"labels": np.zeros(100, int)}, "labels holds one class, 0; expected at least 2"),
    "two ones in a row": ({"labels": np.ones((100, 2), int)}, r"labels has shape \(100, 2\), expected one-hot"),
    "scores": ({"labels": np.full((100, 4), 0.25)}, r"labels has shape \(100, 4\), expected one-hot"),
    "pages": ({"labels": LABELS[:, None, None]}, r"labels has shape \(100, 1, 1\), expected \[n\] labels"),
    "no labels": ({"labels": LABELS[:0]}, r"labels has shape \(0,\)"),
    "other text": ({"labels": np.array([b"\xff", b"a"])[LABELS % 2]}, "labels holds text that is not UTF-8"),
    "a rare class": ({"labels": np.where(np.arange(100) == 7, "owl", "cat")}, "the smallest class, 'owl', has 1"),
    "images of text": ({"images": np.full((100, 2, 2), "a")}, "images is of type <U1, expected numbers"),
    "rows": ({"images": np.zeros((100, 4))}, r"images has shape \(100, 4\), expected \[n, height, width\]"),
    "channels first": (
        {"images": np.zeros((100, 3, 8, 8))},
        r"expected the channels last: images.transpose\(0, 2, 3, 1",
    ),
    "NaN": ({"images": np.where(np.arange(100) < 3, np.nan, 1.0)[:, None, None]}, "NaN or infinity in 3 of 100 images"),
    "objects": (
        {"labels": LABELS.astype(str).astype(object)},
        "array 'labels' at byte .*pickled objects, expected numbers or text",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_one_set(pixels, tmp_path, fault):
    changes, message = FAULTS[fault]
    np.savez(tmp_path / "data.npz", **{"images": pixels, "labels": LABELS} | changes)
    with pytest.raises((ConfigurationError, CorruptArtefactError), match=message) as error:
        load_images(tmp_path / "data.npz")
    assert str(error.value).startswith(f"{tmp_path / 'data.npz'}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_test": np.zeros((20, 5, 4, 1))}, "x_train holds images of 5 x 4 x 3 and x_test images of 5 x 4 x 1"),
        ({"x_test": np.zeros((20, 5, 4))}, "x_train holds images of 5 x 4 x 3 and x_test images of 5 x 4 x 1"),
        ({"y_test": LABELS[:20] + 1}, "y_test holds 4, a label that is not in y_train"),
        ({"y_test": LABELS[:20].astype(str)}, "y_test and y_train hold text and numbers"),
        ({"y_test": LABELS[:19]}, "x_test holds 20 images and y_test 19 labels"),
        ({"x_test": np.full((20, 5, 4, 3), np.inf)}, "x_test holds NaN or infinity in 20 of 20 images"),
        ({"x_validation": np.zeros((20, 5, 4, 3))}, "holds x_validation alone; expected images and labels"),
        (
            {"x_validation": np.zeros((2, 5, 4, 3)), "y_validation": np.array([1, -1])},
            "y_validation holds -1, a label that is not in y_train",
        ),
    ],
)
def test_faults_between_sets(pixels, tmp_path, changes, message):
    sets = {"x_train": pixels[:80], "y_train": LABELS[:80], "x_test": pixels[80:], "y_test": LABELS[80:]}
    np.savez(tmp_path / "data.npz", **sets | changes)
    with pytest.raises((ConfigurationError, CorruptArtefactError), match=message):
        load_images(tmp_path / "data.npz")


def test_a_test_set_may_lack_a_class(pixels, tmp_path):
    sets = {"x_train": pixels[:80], "y_train": LABELS[:80] + 10, "x_test": pixels[80:], "y_test": np.full(20, 12)}
    np.savez(tmp_path / "data.npz", **sets)
    data = load_images(tmp_path / "data.npz")
    assert data.class_names == ("10", "11", "12", "13")
    assert set(data.test[1].tolist()) == {2}


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_files_that_are_no_archives(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(CorruptArtefactError, match=r"not an archive as np\.savez writes"):
        load_images(tmp_path / "data.npz")


def test_an_array_alone(tmp_path, pixels):
    np.save(tmp_path / "data.npy", pixels)
    with pytest.raises(CorruptArtefactError, match=r"not an archive as np\.savez writes"):
        load_images(tmp_path / "data.npy")


def test_reading_starts_no_tensorflow(tmp_path, pixels):
    """Files are read, and a folder is checked, in a process that has not imported TensorFlow."""
    np.savez(tmp_path / "data.npz", images=pixels, labels=LABELS)
    for name in ("cat", "dog"):
        (tmp_path / "folder" / name).mkdir(parents=True)
        for size in (4, 5):
            image = tf.io.encode_png(np.zeros((size, 4, 3), np.uint8)).numpy()
            (tmp_path / "folder" / name / f"{size}.png").write_bytes(image)
    program = """
import sys
from tfnas.benchmarks.trained.images import load_images
from tfnas.errors import ConfigurationError
print(load_images(sys.argv[1]))
try:
    load_images(sys.argv[2])
except ConfigurationError as error:
    print(error)
assert "tensorflow" not in sys.modules
"""
    arguments = [str(tmp_path / "data.npz"), str(tmp_path / "folder")]
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("100 images of 5 x 4 x 3")
    assert "5.png: 5 x 4 pixels, others 4 x 4; give an image size" in second
