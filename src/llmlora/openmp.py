"""How the threads of torch and llama.cpp wait for each other; OpenMP reads it when they are loaded.

Threads that spin make a run ten times slower as soon as anything else wants a core; those that sleep at once make it a
tenth slower where nothing does. Ours spin for about as long as waking would take (docs/decisions/0005).
"""

import os

BRIEF = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}


def wait_briefly() -> None:
    """Before torch is loaded: have this process's threads do so, unless the user wants it otherwise."""
    for name, value in BRIEF.items():
        os.environ.setdefault(name, value)
