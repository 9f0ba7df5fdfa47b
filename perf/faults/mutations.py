"""Requests that are damaged at random: in their JSON, in their bytes, and in the serialised examples inside."""

import base64
import random
from typing import Any

import msgspec
import tensorflow as tf

_HUGE, _DEEP, _SURROGATE = "huge integer", "deep brackets", "half a character"
_TEXTS = {_HUGE: b"1" * 5000, _DEEP: b"[" * 5000 + b"1" + b"]" * 5000, _SURROGATE: rb'"\ud800"'}
"""JSON that msgspec does not write, by the strings that stand for it."""
_JUNK = [
    None,
    True,
    False,
    "",
    "1",
    "false",
    _SURROGATE,
    0,
    -1,
    3.7,
    1e39,
    1e308,
    2**31,
    2**63,
    [],
    {},
    {"b64": "%"},
    _HUGE,
]
_LARGE = [-1, 0, 1, 2**31 - 1, 2**31, 2**40, 2**62, -(2**62)]


def mutated(body: Any, rng: random.Random) -> bytes:
    """A request after one to three mutations.

    Args:
      body: JSON values of a request that is answered.
      rng: generator.
    """
    body = _copied(body)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        rng.choice([_replace, _change_number, _change_number, _remove, _repeat, _nest, *[_damage_example] * 4])(
            body, rng
        )
    content = msgspec.json.encode(body)
    for mark, value in _TEXTS.items():
        content = content.replace(f'"{mark}"'.encode(), value)
    return _damage(content, rng) if rng.random() < 0.1 else content


def _copied(value: Any) -> Any:
    """JSON values whose lists and objects are new."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Containers and keys of the values inside, a sample of them in long lists."""
    keys = list(value) if isinstance(value, dict) else range(min(len(value), 50)) if isinstance(value, list) else []
    places = []
    for key in keys:
        places.append((value, key))
        places += _places(value[key])
    return places


def _replace(body: Any, rng: random.Random) -> None:
    container, key = rng.choice(_places(body))
    container[key] = _copied(rng.choice(_JUNK))


def _change_number(body: Any, rng: random.Random) -> None:
    numbers = [place for place in _places(body) if type(place[0][place[1]]) in (int, float)]
    if numbers:
        container, key = rng.choice(numbers)
        container[key] = rng.choice([0, 1, 2, 5, 100, -1, -(2**31), 2**31 - 1, 1e-30, -1e30])


def _remove(body: Any, rng: random.Random) -> None:
    container, key = rng.choice(_places(body))
    if len(container) > 1 or container is not body:
        del container[key]


def _repeat(body: Any, rng: random.Random) -> None:
    lists = [container for container, _ in _places(body) if isinstance(container, list)]
    if lists:
        chosen = rng.choice(lists)
        chosen.extend(_copied(chosen[: rng.randint(1, 3)]))


def _nest(body: Any, rng: random.Random) -> None:
    container, key = rng.choice(_places(body))
    for _ in range(rng.choice([1, 2, 50])):
        container[key] = [container[key]]


def _damage_example(body: Any, rng: random.Random) -> None:
    coded = [place for place in _places(body) if place[1] == "b64" and isinstance(place[0][place[1]], str)]
    if not coded:
        return _replace(body, rng)
    container, key = rng.choice(coded)
    try:
        content = base64.b64decode(container[key], validate=True)
    except ValueError:
        return None
    damage = rng.choice([_damage, _damage, _change_feature])
    container[key] = base64.b64encode(damage(content, rng)).decode()
    return None


def _damage(content: bytes, rng: random.Random) -> bytes:
    """Bytes with some of them changed, removed or repeated."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(changed) + 1)
        kind = rng.randrange(4)
        if kind == 0 and changed:
            changed[min(start, len(changed) - 1)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del changed[start : start + rng.randint(1, 9)]
        elif kind == 2:
            changed[start:start] = rng.randbytes(rng.randint(1, 9))
        elif rng.random() < 0.2:
            del changed[start:]
    return bytes(changed)


def _change_feature(content: bytes, rng: random.Random) -> bytes:
    """A serialised tf.train.Example with a number of a feature changed, or a feature left out."""
    try:
        example = tf.train.Example.FromString(content)
        features = example.features.feature
        name = rng.choice(sorted(features))
    except Exception:  # an earlier mutation damaged it
        return _damage(content, rng)
    if rng.random() < 0.2:
        del features[name]
        return example.SerializeToString()
    values = features[name].int64_list.value
    if values and rng.random() < 0.8:
        values[rng.randrange(len(values))] = rng.choice(_LARGE)
    else:
        values.extend(rng.choices(_LARGE, k=rng.randint(1, 3)))
    return example.SerializeToString()
