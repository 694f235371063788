"""Inbound: people, forms and API clients over HTTP."""
