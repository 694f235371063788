#!/bin/sh
# up.sh FOLDER PORT: an Arabic WordPress on loopback with the plugin switched on, everything of it in FOLDER.
# Leaves FOLDER/database.pid and FOLDER/web.pid, the two process ids to end it by.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
run=$1 port=$2
sh "$here/packages.sh"
mkdir -p "$run/mails"

# MariaDB: a data folder of its own, a socket only, and no care for power cuts
mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$run/database" --auth-root-authentication-method=socket --skip-test-db >"$run/database.log" 2>&1
setsid mariadbd --no-defaults --user="$(id -un)" --datadir="$run/database" --socket="$run/s.sock" --pid-file="$run/own.pid" --skip-networking \
  --character-set-server=utf8mb4 --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --log-error="$run/database.log" </dev/null >/dev/null 2>&1 &
echo $! >"$run/database.pid"
tries=0
until mariadb --no-defaults -S "$run/s.sock" -e "CREATE DATABASE wordpress CHARACTER SET utf8mb4; CREATE USER wp@localhost IDENTIFIED BY 'wp';
    GRANT ALL ON wordpress.* TO wp@localhost" 2>/dev/null; do
  tries=$((tries + 1))
  if [ $tries -gt 300 ]; then tail "$run/database.log" >&2; exit 1; fi
  sleep 0.1
done

# WordPress: a copy of the package's, the plugin, and a drop-in that keeps mails in files
cp -rL /usr/share/wordpress "$run/www" 2>/dev/null || [ -f "$run/www/wp-load.php" ] # some links lead to configuration that is not ours
mkdir -p "$run/www/wp-content/plugins/moderation" "$run/www/wp-content/mu-plugins"
cp "$here/../../deploy/wordpress/moderation.php" "$run/www/wp-content/plugins/moderation/"
cp -r "$here/site/plain" "$run/www/wp-content/themes/"
cp "$here/site/quiet.php" "$run/www/wp-content/mu-plugins/"
cat >"$run/www/wp-config.php" <<PHP
<?php
define( 'DB_NAME', 'wordpress' );
define( 'DB_USER', 'wp' );
define( 'DB_PASSWORD', 'wp' );
define( 'DB_HOST', 'localhost:$run/s.sock' );
define( 'DB_CHARSET', 'utf8mb4' );
define( 'AUTH_KEY', 'for tests only' );
define( 'WP_HOME', 'http://127.0.0.1:$port' );
define( 'WP_SITEURL', 'http://127.0.0.1:$port' );
define( 'WP_HTTP_BLOCK_EXTERNAL', true );
define( 'WP_ACCESSIBLE_HOSTS', '127.0.0.1' );
define( 'DISABLE_WP_CRON', true );
define( 'AUTOMATIC_UPDATER_DISABLED', true );
define( 'WP_ENVIRONMENT_TYPE', 'local' ); # application passwords without TLS
define( 'WP_DEBUG', true );
define( 'WP_DEBUG_DISPLAY', false );
define( 'WP_DEBUG_LOG', '$run/php.log' );
define( 'MAILS', '$run/mails' );
\$table_prefix = 'wp_';
defined( 'ABSPATH' ) || define( 'ABSPATH', __DIR__ . '/' );
require_once ABSPATH . 'wp-settings.php';
PHP
php "$here/site/install.php" "$run/www" "127.0.0.1:$port" >"$run/site.json"

PHP_CLI_SERVER_WORKERS=6 setsid php -d opcache.enable_cli=1 -S "127.0.0.1:$port" -t "$run/www" "$here/site/router.php" </dev/null >"$run/web.log" 2>&1 &
echo $! >"$run/web.pid"
