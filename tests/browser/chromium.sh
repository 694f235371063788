#!/bin/sh
# A browser for the tests: the one on PATH, else Debian's (as root), else Playwright's own download. Fails loudly if none can be had.
set -eu
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  apt-get -q update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends chromium fonts-noto-core >/dev/null && exit 0
fi
.venv/bin/playwright install chromium && exit 0
echo "no browser: install chromium and run make test again" >&2
exit 1
