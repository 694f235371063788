<?php
// A drop-in for the test site: a mail becomes a file, and emoji are left to the browser's fonts instead of images from elsewhere.
remove_action( 'wp_head', 'print_emoji_detection_script', 7 );
remove_action( 'admin_print_scripts', 'print_emoji_detection_script' );
add_filter(
	'pre_wp_mail',
	function ( $unused, $mail ) {
		file_put_contents( MAILS . '/' . uniqid( '', true ) . '.json', wp_json_encode( $mail ) );
		return true;
	},
	10,
	2
);
