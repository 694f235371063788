#!/bin/sh
# A WordPress for the tests, from Debian: what is missing is installed (as root), no service is started. Fails loudly if it can't be had.
set -eu
packages="nginx-light php-fpm php-cli php-mysql php-xml php-mbstring mariadb-server wordpress wordpress-l10n"
missing=""
for name in $packages; do
  dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || missing="$missing $name"
done
# which themes there are differs by release: any of blocks will do
ls /usr/share/wordpress/wp-content/themes/*/templates/index.html >/dev/null 2>&1 || missing="$missing wordpress-theme-*"
if [ -z "$missing" ]; then exit 0; fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
  policy=/usr/sbin/policy-rc.d # nginx and MariaDB would start on their usual ports
  if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
  fi
  export DEBIAN_FRONTEND=noninteractive
  set -f # apt reads the star
  # shellcheck disable=SC2086
  apt-get -q -o DPkg::Lock::Timeout=300 update >/dev/null &&
    apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing >/dev/null && exit 0
fi
echo "no WordPress: install$missing and run the tests again" >&2
exit 1
