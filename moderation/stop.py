"""How a process is asked to end."""

import asyncio
import signal


class Stop(asyncio.Event):
    """Set by SIGTERM and SIGINT. `hurry` is set by SIGINT, or when a second signal comes: nobody waits for balancers then."""

    def __init__(self) -> None:
        super().__init__()
        self.hurry = asyncio.Event()

    def _signalled(self, number: signal.Signals) -> None:
        if self.is_set() or number == signal.SIGINT:
            self.hurry.set()
        self.set()


def stop_on_signal() -> Stop:
    """From now on signals end us in an orderly way."""
    stop = Stop()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop._signalled, number)
    return stop
