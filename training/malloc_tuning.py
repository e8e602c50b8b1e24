"""One switch of the C library that makes training and rendering faster."""

from __future__ import annotations

import ctypes


def keep_memory() -> None:
    """Let glibc keep what is freed instead of giving it back; no effect with another C library.

    Fresh pages for every large array cost a fifth of a training step and half of a rendered
    frame where page faults are slow (virtual machines).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_mmap_max, m_trim_threshold, m_top_pad = -4, -1, -2  # malloc.h
        mallopt(m_mmap_max, 0)
        mallopt(m_trim_threshold, 2**31 - 1)
        mallopt(m_top_pad, 256 << 20)
