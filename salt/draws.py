"""Named random streams: every draw is a function of (seed, purpose, step, sample number) and of nothing else.

So results depend neither on how a batch is split nor on the number of processes, and a resumed run draws what the
unbroken one would have drawn, without any stored state of a generator.

The name is hashed to the 128-bit key of numpy's counter-based Philox. (torch's CPU generator is no choice: it uses
only the lower 32 bits of a seed, so that streams of one run would coincide by chance.)
"""

import hashlib

import numpy as np


def generator(seed: int, purpose: str, step: int, sample: int) -> np.random.Generator:
    """The stream of one sample: the same name gives the same numbers, in every process and on every machine."""
    name = f"{seed}/{purpose}/{step}/{sample}".encode()
    key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))
