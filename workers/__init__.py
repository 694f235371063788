"""Outbound: webhooks and mail, out of one outbox."""
