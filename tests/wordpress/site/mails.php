<?php
// A drop-in for the test site: a mail becomes a file.
add_filter(
	'pre_wp_mail',
	function ( $unused, $mail ) {
		file_put_contents( MAILS . '/' . uniqid( '', true ) . '.json', wp_json_encode( $mail ) );
		return true;
	},
	10,
	2
);
