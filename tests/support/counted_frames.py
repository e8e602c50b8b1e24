"""An end that is asked for after so many frames."""


def after(frames):
    return lambda statistics: statistics.frames >= frames
