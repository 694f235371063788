"""Comment moderation with webhooks, self-hosted."""

__version__ = "0.1.0"
