"""Makes the deliveries of a replay again, page by page, under the lease of the replay's own delivery."""

from moderation.errors import ModerationError, NotFound
from moderation.store import endpoints, replays
from moderation.store.connection import Store
from moderation.store.outbox import Job
from workers.retry import Outcome, cancelled


class ReplaySender:
    """The engine's way to work on a replay."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def deliver(self, job: Job) -> Outcome:
        """The rest of the replay; who is killed meanwhile leaves its place for the next."""
        try:
            endpoint, _ = await endpoints.load(self._store, job.site, job.target)
            while not await replays.step(self._store, job.event, endpoint):
                pass
        except NotFound:
            return cancelled("the endpoint was deleted")
        except ModerationError as error:
            return Outcome(False, error.code, detail="Redis was out of reach")
        return Outcome(True, "ok")
