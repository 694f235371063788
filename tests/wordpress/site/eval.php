<?php
// Runs the PHP on standard input inside WordPress and prints what it returns as JSON.
require __DIR__ . '/load.php';
echo wp_json_encode( eval( stream_get_contents( STDIN ) ) );
