"""What an error of Keras says."""

import re

_NOISE = re.compile(r"exception encountered when calling|in user code:|file \"|(call )?arguments received", re.I)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def reason(error: BaseException) -> str:
    """The line of an error of Keras that says what is wrong, on one line of at most 300 characters.

    Example:
      >>> reason(ValueError("Exception encountered when calling Dense.call().\\n\\nNo such axis."))
      'No such axis.'
    """
    text = _COLOURS.sub("", str(error)).rpartition("Exception encountered: ")[2]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if not _NOISE.match(line)]
    return (telling or lines or [type(error).__name__])[0][:300]
