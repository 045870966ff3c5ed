"""Settings of a whole process. Nothing here happens on import: the commands call it, and a notebook
may.

A training step asks for the same few hundred megabytes again and again. By default the C library of
Linux hands every large array back to the system as soon as it is freed, and the system clears the
pages again, one by one, when they are next needed. On one machine this took anywhere between
nothing and a third of a transformer's step, depending on the hour. `keep_memory` lets the process
keep the memory that it once had.

Threads: PyTorch starts one for each core, which is right for training. Generating a text one token
at a time is too little work to share, and one thread is faster: `torch.set_num_threads(1)`. Waiting
threads spin, which makes them far slower beside another busy process: set
OMP_WAIT_POLICY=PASSIVE before Python starts.
"""

import ctypes
import sys

# names and values from glibc's malloc.h
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


def keep_memory() -> bool:
    """Keep freed memory in this process; return whether that could be set up.

    The process then holds its peak memory until it ends. glibc (Linux) only.
    """
    if not sys.platform.startswith("linux"):  # elsewhere there may be no C library to look into
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    large = 2**31 - 1
    settings = {M_MMAP_THRESHOLD: 2**30, M_TRIM_THRESHOLD: large, M_TOP_PAD: 2**26}
    return all([mallopt(name, value) == 1 for name, value in settings.items()])
