"""What a party does with the addresses to which its events are sent, as the typed client does it."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from client import feed_views
from client.calls import Calls

#: So many attempts are shown at most.
DELIVERIES_MAX: Final = 200


class Webhooks(Calls):
    """What a party registers and looks after addresses with."""

    async def add_webhook(
        self, url: str, *, after: int | None = None, key: str | None = None
    ) -> feed_views.WebhookSecret:
        """Have the party's events sent to an address: those after this number, or what comes next."""
        body: dict[str, object] = {"url": url} | ({} if after is None else {"after": after})
        return await self.post("/v1/webhooks", body, key, view=feed_views.WebhookSecret)

    async def webhooks(self) -> tuple[feed_views.Webhook, ...]:
        """The addresses to which the party's events are sent."""
        return (await self.read("/v1/webhooks", feed_views.WebhookList)).items

    async def rotate_webhook(self, webhook_id: UUID, *, key: str | None = None) -> feed_views.WebhookSecret:
        """Another secret; the one before signs beside it for a day."""
        return await self.post(f"/v1/webhooks/{webhook_id}:rotate", {}, key, view=feed_views.WebhookSecret)

    async def replay_webhook(
        self, webhook_id: UUID, number: int | None = None, *, key: str | None = None
    ) -> feed_views.WebhookState:
        """Send again from this number on, or go on where it was paused."""
        body = {} if number is None else {"number": number}
        return await self.post(f"/v1/webhooks/{webhook_id}:replay", body, key, view=feed_views.WebhookState)

    async def trigger_webhook(self, webhook_id: UUID, *, key: str | None = None) -> feed_views.WebhookState:
        """Put an event that means nothing into the feed, to see it arrive."""
        return await self.post(f"/v1/webhooks/{webhook_id}:trigger", {}, key, view=feed_views.WebhookState)

    async def remove_webhook(self, webhook_id: UUID) -> feed_views.WebhookState:
        """Send nothing there any more."""
        return await self.remove(f"/v1/webhooks/{webhook_id}", feed_views.WebhookState)

    async def deliveries(self, webhook_id: UUID, *, limit: int = DELIVERIES_MAX) -> tuple[feed_views.Delivery, ...]:
        """The newest attempts at an address."""
        path = f"/v1/webhooks/{webhook_id}/deliveries"
        return (await self.read(path, feed_views.DeliveryList, limit=str(limit))).items
