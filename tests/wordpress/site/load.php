<?php
// WordPress without a request: $argv[1] its folder, $argv[2] its host.
$_SERVER = array( 'HTTP_HOST' => $argv[2], 'SERVER_NAME' => '127.0.0.1', 'REQUEST_URI' => '/', 'REQUEST_METHOD' => 'GET', 'SERVER_PROTOCOL' => 'HTTP/1.1', 'REMOTE_ADDR' => '127.0.0.1' ) + $_SERVER;
require $argv[1] . '/wp-load.php';
