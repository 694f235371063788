"""Every key of the product on one page. `{pNN}` is the partition's hash tag: one site, one slot (Redis Cluster).

| key                               | type   | holds                                                   | life      | written by            |
|-----------------------------------|--------|---------------------------------------------------------|-----------|-----------------------|
| m:{g}:meta                        | hash   | partitions, data version, the key of hashes (sealed)    | for ever  | first start, reseal   |
| m:{g}:tokens                      | hash   | token id → JSON (name, role, sites, hash)               | for ever  | people                |
| m:{g}:token:<sha256>              | string | token id                                                | for ever  | people                |
| m:{g}:users                       | hash   | name → JSON (argon2 hash, role, sites)                  | for ever  | people                |
| m:{g}:setup:<sha256>              | string | the first account may be made by this link              | 1 day     | people                |
| m:{g}:session:<sha256>            | string | JSON (name, opened) of a session at the desk            | 12 h idle | sessions              |
| m:{g}:sessions:<name>             | zset   | hashes of somebody's sessions by when they were opened  | 14 days   | sessions              |
| m:{g}:desk:<name>                 | hash   | language, keys, filters that somebody set               | for ever  | sessions              |
| m:{g}:batch:<sha256>              | string | JSON (by, ids) of what one press decided                | 1 min     | sessions              |
| m:{g}:tries:<hash>                | string | wrong tries to sign in: name and network, network, name | 5 min     | web/desk/entry        |
| m:{g}:asks:<hash>                 | string | how often a network asked what is kept of an address    | 5 min     | web/personal          |
| m:{g}:code:<sha256>               | string | a code of an authenticator app that was used            | 2 min     | web/desk/second_step  |
| m:{g}:passkeys                    | hash   | credential → JSON (name, public key, count)             | for ever  | passkeys              |
| m:{g}:challenge:<sha256>          | string | a challenge for a passkey that is not answered yet      | 5 min     | passkeys              |
| m:{g}:suppressed                  | zset   | who has a suppression, score 0: hashes of addresses     | for ever  | mailboxes             |
| m:{g}:sup:<recipient>             | hash   | scope → JSON (reason, at, masked address)               | for ever  | mailboxes             |
| m:{g}:soft:<recipient>            | set    | reports of soft bounces                                 | 4 days    | mailboxes             |
| m:{g}:mails:<recipient>:<day>     | set    | delivery ids of a day's mails                           | 2 days    | mailboxes             |
| m:{g}:report:<hash>               | string | a relay's report that was heard                         | 1 day     | mailboxes             |
| m:{g}:housekeeping                | string | a worker has had its turn                               | 1 h       | housekeeping          |
| m:{g}:erasing                     | hash   | receipt → address and asker of an erasure under way, sealed | until done | erasure            |
| m:{g}:rewritten                   | string | erasures when the files were last rewritten             | for ever  | erasure               |
| m:{pNN}:erased                    | string | counter: something was erased                           | for ever  | erase, sites          |
| m:{pNN}:sites                     | set    | slugs                                                   | for ever  | sites                 |
| m:{pNN}:removing                  | set    | slugs of sites whose deletion is under way              | until done | sites                |
| m:{pNN}:site:<slug>               | hash   | v (version), doc (JSON)                                 | for ever  | sites                 |
| m:{pNN}:eps:<slug>                | hash   | endpoint id → JSON, secrets and headers sealed          | for ever  | endpoints             |
| m:{pNN}:subs:<slug>:<event>       | hash   | endpoint that wants the event → prefixes of threads     | for ever  | endpoints             |
| m:{pNN}:c:<id>                    | string | head (JSON, changes) LF body (JSON, never changes)      | for ever  | submit, decide, undo, import |
| m:{pNN}:s:<slug>:<status>         | zset   | comment ids, score 0: UUIDv7 order is time order        | for ever  | submit, decide, undo, import |
| m:{pNN}:t:<slug>:<thread>:<st>    | zset   | the same for one thread; <thread> is 20 hex of SHA-1    | for ever  | submit, decide, undo, import |
| m:{pNN}:tv:<slug>:<thread>        | string | counter: the approved part of the thread changed        | for ever  | decide, undo, settle, import |
| m:{pNN}:a:<author>                | zset   | comment ids of one author pseudonym                     | for ever  | submit, import        |
| m:{pNN}:ok:<slug>                 | hash   | author → approved comments                              | for ever  | submit, decide, undo, import |
| m:{pNN}:nm:<slug>                 | hash   | one spelling of a regular's name → author               | for ever  | decide, import        |
| m:{pNN}:nd:<slug>:<day>           | hash   | near-duplicate name → comment id                        | 2 days    | submit                |
| m:{pNN}:lw:<slug>                 | hash   | feature → weight of the learned risk                    | for ever  | learn                 |
| m:{pNN}:ln:<comment id>           | string | the step that a comment's lesson took                   | 90 days   | learn                 |
| m:{pNN}:ck:<slug>                 | hash   | outside checker → JSON, secrets sealed                  | for ever  | checkers              |
| m:{pNN}:cl:<comment id>           | string | address and browser for outside checkers, sealed        | 15 days   | submit                |
| m:{pNN}:x:<slug>                  | hash   | the site's own id of a comment → ours                   | for ever  | submit, settle, import |
| m:{pNN}:dup:<hash>                | string | the last 12 digits of a comment's id                    | window    | submit                |
| m:{pNN}:idem:<hash>               | string | comment id, content hash                                | 24 h      | submit                |
| m:{pNN}:rate:<hash>               | string | GCRA: theoretical arrival time, ms                      | seconds   | submit                |
| m:{pNN}:claims:<slug>             | zset   | comment id by end of lease, ms                          | for ever  | claim, release, decide|
| m:{pNN}:claimed:<slug>            | hash   | comment id → moderator                                  | for ever  | claim, release, decide|
| m:{pNN}:once:<hash>               | string | comment id: a link of a mail that decided it            | 7 days    | decide                |
| m:{pNN}:cf:<slug>                 | set    | who confirmed to be told of replies                     | for ever  | mailboxes             |
| m:{pNN}:asked:<slug>:<recipient>  | string | the delivery that asked to confirm because of a reply   | 30 days   | mailboxes             |
| m:{pNN}:dg:<slug>                 | list   | comments that moderators are to be told of              | –         | submit, digest        |
| m:{pNN}:dgs:<slug>                | string | a digest was sent: its life is the wait for the next    | 5 min     | digest                |
| m:{pNN}:h:<id>                    | list   | history of a comment: JSON, oldest first                | for ever  | decide, undo, contact, import |
| m:{pNN}:audit:<slug>              | stream | who did what                                            | 100,000   | decide, undo, contact, import |
| m:{pNN}:ev:<event id>             | string | an event, once (JSON)                                   | 30 days   | outbox, enqueue       |
| m:{pNN}:evs:<slug>                | zset   | a site's events, score 0                                | 30 days   | outbox, undo          |
| m:{pNN}:dl:<delivery id>          | hash   | ev, comment, kind, target, lane, site, state, n, due, lease, ab, always | 30 days | outbox, take, renew, settle, requeue |
| m:{pNN}:at:<delivery id>          | list   | attempts: JSON, oldest first, at most 20                | 30 days   | settle                |
| m:{pNN}:cd:<comment id>           | list   | delivery ids of a comment                               | 30 days   | outbox, undo          |
| m:{pNN}:lane:<lane>               | zset   | delivery id by the ms it is next due (lease included)   | –         | outbox, take, renew, settle, requeue |
| m:{pNN}:fl:<lane>                 | zset   | deliveries in flight by end of lease                    | –         | take, settle          |
| m:{pNN}:ld:<lane>:<state>         | zset   | deliveries of a lane in a state, score 0                | 30 days   | outbox, take, settle, requeue |
| m:{pNN}:ls:<lane>                 | hash   | what is known of a receiver, see below                  | for ever  | endpoints, take, settle |
| m:{pNN}:lanes                     | zset   | lanes by their first due ms                             | –         | outbox, take, renew, settle, requeue |
| m:{pNN}:nudge                     | list   | wakes a blocked worker                                  | –         | outbox, take, requeue |
| m:{pNN}:wait                      | string | written before waiting for replicas                     | for ever  | scripts               |
| m:{pNN}:never                     | –      | never there; scripts name it in a cluster               | –         | nobody                |
| m:{pNN}:job:<job id>              | hash   | a replay: doc (JSON), state, at, seen, made, total      | 30 days   | replays               |
| m:{pNN}:outcomes                  | hash   | "<kind> <outcome>" → attempts                           | for ever  | settle                |

`outbox` stands for include/outbox.lua and whoever includes it, `import` for `moderation import`. Lanes are `ep:<endpoint>`, `mail:<slug>`,
`tell:<slug>` (finding out who is told), `check:<slug>` (outside checkers) and `replay:<slug>`. Fields of `ls`:
cap and rate (as configured), tat (the rate's clock, ms), w (window: at most so many in flight while it recovers), until (paused, ms), off and
off_at (disabled, and why), f (failures in a row), ff and fm (failed attempts and messages since the last success), since (of the first of
them, ms), gone (the event that was answered 410), warned (how often), ok_at (last success, ms).
"""

import hashlib
import zlib
from functools import cache, lru_cache

from uuid_utils import uuid7

GLOBAL = "m:{g}:"
META = GLOBAL + "meta"


@cache
def tag(partition: int) -> str:
    """The prefix of all keys in one partition."""
    return f"m:{{p{partition:02d}}}:"


@lru_cache(maxsize=4096)
def site_partition(site: str, partitions: int) -> int:
    """The partition of a site, for ever the same (CRC-32)."""
    return zlib.crc32(site.encode()) % partitions


def new_id(partition: int) -> str:
    """A UUIDv7 whose last byte names the partition, so that an id alone finds its keys.

    66 bits of the counter and randomness remain beside the millisecond.
    """
    return f"{str(uuid7())[:-2]}{partition:02x}"


def id_of(ms: int, name: str, partition: int) -> str:
    """A UUIDv7 of that millisecond which is the same whenever it is made of the same name: 66 bits of SHA-256 beside the time."""
    time, rest = f"{ms:012x}", hashlib.sha256(name.encode()).hexdigest()
    variant = "89ab"[int(rest[3], 16) & 3]
    return f"{time[:8]}-{time[8:]}-7{rest[:3]}-{variant}{rest[4:7]}-{rest[7:17]}{partition:02x}"


def derive(some_id: str, number: int) -> str:
    """The nth id (below 256) that belongs to an id, as include/outbox.lua makes them."""
    return f"{some_id[:-4]}{number:02x}{some_id[-2:]}"


def partition_of(some_id: str) -> int:
    """The partition that an id of `new_id` lives in."""
    return int(some_id[-2:], 16)


def lowest_id(ms: int) -> str:
    """No UUIDv7 of that millisecond or later sorts before it."""
    digits = f"{max(0, ms):012x}"
    return f"{digits[:8]}-{digits[8:]}-"


@lru_cache(maxsize=4096)
def thread_key(thread: str) -> str:
    """20 hex digits of SHA-1: names the thread in keys (the same as redis.sha1hex in the scripts)."""
    return hashlib.sha1(thread.encode(), usedforsecurity=False).hexdigest()[:20]
