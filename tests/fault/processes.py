"""The processes of one service, and their violent ends."""

import contextlib
import os
import random
import signal
from collections import Counter
from pathlib import Path

from tests.fault.steady import Steady
from tests.service import Service, until

_MORE = 15  # acknowledgements between two kills: whatever was killed, the service takes comments again


def children(pid: int) -> dict[str, int]:
    """The worker and the embedded server of a service, by name; a kill may have left only one of them."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) != pid:
                continue
            command = (entry / "cmdline").read_bytes()
            for name in ("valkey-server", "workers"):
                if name.encode() in command:
                    found[name] = int(entry.name)
    return found


def is_gone(pid: int) -> bool:
    """It ended, with all of its threads; whether anybody took notice of that is another matter, and in a container may be never."""
    process = Path("/proc") / str(pid)
    try:
        is_over = (process / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
        return is_over and len(list((process / "task").iterdir())) == 1
    except OSError:
        return True


def child(service: Service, name: str) -> int:
    """The process id of one of them, once it runs."""
    assert service.process is not None
    pid = service.process.pid
    found: int = until(f"{name} to run", lambda: children(pid).get(name), 60)
    return found


def kill_at_random(service: Service, load: Steady, count: int, seed: int) -> Counter[str]:
    """kill -9 of the service, its worker or its server, again and again under load; says how many of each."""
    dice, killed = random.Random(seed), Counter[str]()
    while killed.total() < count:
        load.until_more(f"after {killed.total()} kills", dice.randint(1, _MORE))
        assert service.process is not None
        running = children(service.process.pid)  # a worker that is killed often is started again after a pause
        victim = dice.choices(["service", "workers", "valkey-server"], weights=[1, 2, 2])[0]
        if victim == "service":
            service.kill()
            service.start()
        elif victim in running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(running[victim], signal.SIGKILL)
        else:
            continue
        killed[victim] += 1
    return killed
