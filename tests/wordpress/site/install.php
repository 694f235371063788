<?php
// The test site: Arabic, one article, comments open, the plugin on.
define( 'WP_INSTALLING', true );
require __DIR__ . '/load.php';
require_once ABSPATH . 'wp-admin/includes/upgrade.php';
require_once ABSPATH . 'wp-admin/includes/plugin.php';
wp_install( 'صحيفة الاختبار', 'admin', 'admin@example.test', true, '', 'admin-password', 'ar' );
$options = array(
	'WPLANG' => 'ar', 'timezone_string' => 'Asia/Riyadh', 'permalink_structure' => '/%postname%/', 'show_avatars' => 0,
	'template' => 'plain', 'stylesheet' => 'plain', 'comments_notify' => 1, 'moderation_notify' => 1,
);
foreach ( $options as $name => $value ) {
	update_option( $name, $value );
}
$writer = wp_insert_user( array( 'user_login' => 'writer', 'user_pass' => 'writer-password', 'user_email' => 'writer@example.test', 'role' => 'author' ) );
$post   = wp_insert_post(
	array(
		'post_title' => 'افتتاح معرض الكتاب & الندوات', 'post_status' => 'publish', 'post_author' => $writer, 'comment_status' => 'open',
		'post_content' => '<p>افتُتح اليوم معرض الكتاب بمشاركة واسعة من دور النشر العربية.</p>',
	)
);
$other  = wp_insert_post( array( 'post_title' => 'خبر آخر', 'post_status' => 'publish', 'post_author' => $writer, 'comment_status' => 'open', 'post_content' => '<p>نص.</p>' ) );
$old    = wp_insert_comment( array( 'comment_post_ID' => $post, 'comment_author' => 'قارئ قديم', 'comment_content' => 'تعليق من قبل الخدمة', 'comment_approved' => 1, 'comment_date_gmt' => '2024-01-31 12:00:00', 'comment_date' => '2024-01-31 15:00:00' ) );
$failed = activate_plugin( 'moderation/moderation.php' );
if ( is_wp_error( $failed ) ) {
	fwrite( STDERR, $failed->get_error_message() );
	exit( 1 );
}
$GLOBALS['wp_rewrite']->init();
delete_option( 'rewrite_rules' );
echo wp_json_encode( array( 'post' => $post, 'other' => $other, 'old' => $old, 'page' => get_permalink( $post ) ) );
