"""Finds out who is to be told, and has a mail made for each: one delivery becomes several, each with a life of its own."""

from collections.abc import Iterable

from moderation.errors import ModerationError, NotFound
from moderation.model import Site
from moderation.store import keys, mailboxes, outbox, people, sites
from moderation.store.connection import Store
from moderation.store.outbox import Job
from workers.retry import Outcome, cancelled

DIGEST_EVERY_SECONDS = 300
NAMED_MAX = 500  # comments that a digest names; the first that still wait are shown, of the others it says how many
_FIRST_ID = 100  # of the ids that belong to an event; those below are taken by its endpoints


def by_id(store: Store, addresses: Iterable[str]) -> dict[str, str]:
    """Recipient → address."""
    return {store.privacy.address_id(address): address for address in addresses}


async def admins(store: Store, site: Site) -> dict[str, str]:
    """Those with an account and an address; without any, the people who are told of waiting comments."""
    return by_id(store, await people.admin_addresses(store, site.id) or sites.notify_addresses(store, site))


class TellSender:
    """The engine's way from a group to its people. Done twice, it makes the same deliveries once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def deliver(self, job: Job) -> Outcome:
        """A mail for each; Redis out of reach is a failure that is tried again."""
        try:
            return await self._tell(job)
        except NotFound:
            return cancelled("the site was deleted, or the event is no longer kept")
        except ModerationError as error:
            return Outcome(False, error.code, detail="Redis was out of reach")

    async def _tell(self, job: Job) -> Outcome:
        site, _ = await sites.load(self._store, job.site)
        if job.target == "admins":
            return await self._enqueue(job, "admin", await admins(self._store, site))
        if job.target == "digest":
            event = await mailboxes.close_digest(self._store, site.id, job.event["id"], DIGEST_EVERY_SECONDS, NAMED_MAX)
            if not event or not event["total"]:
                return cancelled("everything was decided in the meantime")
        if site.notify_mode == "off":
            return cancelled("the site tells its moderators no more")
        return await self._enqueue(job, "moderator", by_id(self._store, sites.notify_addresses(self._store, site)))

    async def _enqueue(self, job: Job, role: str, recipients: Iterable[str]) -> Outcome:
        count = 0
        for count, recipient in enumerate(recipients, 1):
            await outbox.enqueue(
                self._store,
                keys.derive(job.event["id"], _FIRST_ID + count),
                job.event["id"],
                kind="mail",
                target=f"{role}:{recipient}",
                lane=f"mail:{job.site}",
                site=job.site,
                comment_id=job.event.get("comment", ""),
            )
        return Outcome(True, "ok", detail=f"told: {count}") if count else cancelled("nobody is to be told")
