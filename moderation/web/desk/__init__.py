"""The desk: the same as the API, for people, in a browser; every page works without JavaScript."""
