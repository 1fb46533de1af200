"""Contestants for tests: their speed is how long they sleep."""

import sys
import time

from modescape.app.bench.contestant import Contestant


class Quick(Contestant):
    """Ten units, at once."""

    about = "sleeps little"
    nap = 0.02

    def once(self):
        time.sleep(self.nap)
        return 10.0

    def found(self):
        return {"loss": 1.0, "picture": [0.0, 0.5, 1.0]}


class Slow(Quick):
    about = "sleeps ten times as long"
    nap = 0.2


class Other(Slow):
    def found(self):
        return {"loss": 1.5, "picture": [0.0, 0.9, 1.0]}


class Chatty(Slow):
    def once(self):
        sys.stdout.write("Epoch 1\n" * 20_000)
        return super().once()


class Secretive(Quick):
    def found(self):
        raise ValueError("no comment")


class Missing(Contestant):
    def __init__(self, given):
        import a_library_that_is_not_installed  # noqa: F401

    def once(self):
        return 0.0


class Fading(Quick):
    """Ends in its second round."""

    rounds = 0

    def once(self):
        self.rounds += 1
        if self.rounds > 1:
            import os

            os._exit(9)
        return super().once()


class Dying(Quick):
    def __init__(self, given):
        import os

        os._exit(3)
