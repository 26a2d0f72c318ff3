"""Messages in the words of the command line: flags for Python's arguments."""

_FLAGS = (
    ("overwrite=True (--overwrite)", "--overwrite"),
    ("scale=255 (--scale 255)", "--scale 255"),
    ("pass layout='NHWC' (--layout NHWC)", "pass --layout NHWC"),
    ("layout='NCHW'", "--layout NCHW"),
    ("arch='file.py:build'", "--arch file.py:build"),
    ("allow_unsafe=True opens", "--allow-unsafe-model opens"),
    ("output=NAME", "--output NAME"),
    ("Pass domain, such as domain=rl.Box(0, 1)", "Pass --domain 0 1, for example"),
    ("; network.names() lists all", "; relulens describe lists all"),
)


def in_flags(message: str) -> str:
    """Return a message with the flags that Python's arguments are here."""
    for python, flag in _FLAGS:
        message = message.replace(python, flag)
    return message
