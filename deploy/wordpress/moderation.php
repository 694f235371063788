<?php
/**
 * Plugin Name:       Comment moderation
 * Description:       Sends the comment form to a self-hosted moderation service and shows what its moderators approve.
 * Version:           0.1.0
 * Requires at least: 5.9
 * Requires PHP:      7.4
 * License:           MIT
 * License URI:       https://spdx.org/licenses/MIT.html
 * Text Domain:       moderation-receiver
 *
 * Two halves that share nothing but the settings: the form goes out to the service, signed webhooks (Standard Webhooks 1.0)
 * come in. Every step of a delivery may be repeated: a kill between any two lines is healed by the next attempt.
 */

namespace Moderation\Receiver;

if ( ! \defined( 'ABSPATH' ) ) {
	exit;
}

const SETTINGS          = 'moderation_receiver';
const LAST_DELIVERY     = 'moderation_receiver_delivery';
const LAST_REFUSAL      = 'moderation_receiver_refusal';
const SCHEMA            = 'moderation_receiver_schema';
const SCHEMA_NOW        = '1';
const META              = '_moderation_id'; // travels with WordPress's own exports
const TOLERANCE_SECONDS = 300;
const LEASE_SECONDS     = 120; // far longer than a request may live: 15 s at the sender, 30 s in PHP
const SECRETS_MAX       = 3;
const SECRET_MIN_BYTES  = 24;  // Standard Webhooks: 24 to 64
const UUID              = '/\A[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\z/';
// What an event makes of a comment, in the words of wp_set_comment_status; erased ones have no status.
const STATUS_OF = array(
	'comment.approved' => 'approve',
	'comment.pending'  => 'hold',
	'comment.rejected' => 'trash',
	'comment.spam'     => 'spam',
	'comment.erased'   => 'erased',
);
const STORED_AS = array( 'approve' => '1', 'hold' => '0', 'trash' => 'trash', 'spam' => 'spam' );

/** What an administrator set; every key is there. */
function settings(): array {
	$kept = get_option( SETTINGS );
	return array_merge( array( 'service' => '', 'site' => '', 'secrets' => array() ), \is_array( $kept ) ? $kept : array() );
}

/** The service's address of this site, with a path of the API behind it; empty until the settings are made. */
function api( string $path ): string {
	$set = settings();
	return '' === $set['service'] || '' === $set['site'] ? '' : $set['service'] . '/api/v1/sites/' . rawurlencode( $set['site'] ) . $path;
}


// The form.

add_filter( 'comment_form_defaults', __NAMESPACE__ . '\point_form', 99 );
add_filter( 'comment_id_fields', __NAMESPACE__ . '\hidden_fields', 99, 2 );
add_filter( 'comment_form_default_fields', __NAMESPACE__ . '\offer_notice', 99 );
add_filter( 'comment_reply_link', __NAMESPACE__ . '\reply_link', 99, 3 );
add_filter( 'comment_text', __NAMESPACE__ . '\anchor', 99, 2 );
add_action( 'comment_form_before', __NAMESPACE__ . '\receipt' );
add_action( 'pre_comment_on_post', __NAMESPACE__ . '\close_back_door' );
add_action( 'init', __NAMESPACE__ . '\keep_nonce_home', 20 );

/** The form posts to the service; nothing else of it changes. */
function point_form( array $defaults ): array {
	$door = api( '/comments' );
	return '' === $door ? $defaults : array_merge( $defaults, array( 'action' => $door ) );
}

/** What the service can't know: the page, its title and language, the way back, and who is logged in here. */
function hidden_fields( string $fields, $post_id ): string {
	if ( '' === api( '' ) ) {
		return $fields;
	}
	$page  = (string) get_permalink( $post_id );
	$added = array(
		'redirect_to'  => $page,
		'thread_url'   => $page,
		'thread_title' => plain( wp_html_excerpt( get_the_title( $post_id ), 400 ) ),
		'locale'       => get_bloginfo( 'language' ),
	);
	$user = wp_get_current_user();
	if ( $user->exists() ) { // their form has no fields for these
		$added += array( 'author' => plain( $user->display_name ), 'email' => $user->user_email, 'url' => $user->user_url );
	}
	foreach ( $added as $name => $value ) {
		$fields .= sprintf( '<input type="hidden" name="%s" value="%s">', esc_attr( $name ), esc_attr( $value ) ) . "\n";
	}
	return $fields;
}

/** WordPress keeps names and titles escaped. */
function plain( string $text ): string {
	return html_entity_decode( $text, ENT_QUOTES, 'UTF-8' );
}

/** The box for WordPress's cookies promises what nobody would do; in its place the service's mails about replies. */
function offer_notice( array $fields ): array {
	if ( '' === api( '' ) ) {
		return $fields;
	}
	unset( $fields['cookies'] );
	$fields['notify_replies'] = '<p class="comment-form-cookies-consent comment-form-notify-replies">'
		. '<input id="notify_replies" name="notify_replies" type="checkbox" value="1"> <label for="notify_replies">'
		. esc_html__( 'Tell me about replies by mail.', 'moderation-receiver' ) . '</label></p>';
	return $fields;
}

/** No link to reply where the service would refuse the reply: it does not know comments that were written in WordPress itself. */
function reply_link( $link, $args, $comment ) {
	/** Filters whether the service knows a comment, by our id or because it was imported under WordPress's. */
	$known = '' === api( '' ) || apply_filters( 'moderation_receiver_is_known', '' !== id_of( $comment ) || imported(), $comment );
	return $known ? $link : '';
}

/** Whether the comments that were here before the service were imported there. */
function imported(): bool {
	return ! empty( settings()['imported'] );
}

/** The service's id of a comment, or ''. */
function id_of( $comment ): string {
	$comment = get_comment( $comment );
	return $comment ? (string) get_comment_meta( (int) $comment->comment_ID, META, true ) : '';
}

/** The service's links (mails, the form's way back) name its own id. */
function anchor( $text, $comment = null ) {
	$id = $comment && ! is_admin() && ! is_feed() && ! ( \defined( 'REST_REQUEST' ) && REST_REQUEST ) ? id_of( $comment ) : '';
	return '' === $id ? $text : '<span id="comment-' . esc_attr( $id ) . '"></span>' . $text;
}

/** The service sends people back with what became of their comment. */
function receipt(): void {
	// phpcs:ignore WordPress.Security.NonceVerification -- a message, nothing is changed
	$asked = array_map( fn( $name ) => \is_string( $_GET[ $name ] ?? null ) ? wp_unslash( $_GET[ $name ] ) : '', array( 'comment_status', 'comment_id' ) );
	$said  = array(
		'pending'  => __( 'Thank you. Your comment waits for review.', 'moderation-receiver' ),
		'approved' => __( 'Thank you. Your comment is published and will stand here in a moment.', 'moderation-receiver' ),
	);
	if ( ! isset( $said[ $asked[0] ] ) || ! preg_match( UUID, $asked[1] ) || wp_id_of( $asked[1] ) ) {
		return; // once the comment stands here, it says so itself
	}
	printf(
		'<p class="comment-awaiting-moderation" role="status" id="comment-%s">%s</p>',
		esc_attr( $asked[1] ),
		esc_html( $said[ $asked[0] ] )
	);
}

/** What is posted to WordPress itself (a cached page, a robot) goes where the form goes: 307 keeps the method and the body. */
function close_back_door(): void {
	$door = api( '/comments' );
	if ( '' !== $door ) {
		nocache_headers();
		wp_redirect( $door, 307 ); // phpcs:ignore WordPress.Security.SafeRedirect -- an administrator named the host
		exit;
	}
}

/** WordPress's proof that an editor may post any HTML is for WordPress only. */
function keep_nonce_home(): void {
	if ( '' !== api( '' ) ) {
		remove_action( 'comment_form', 'wp_comment_form_unfiltered_html_nonce' );
	}
}


// Webhooks.

add_action( 'rest_api_init', __NAMESPACE__ . '\register_route' );

function register_route(): void {
	register_rest_route(
		'moderation/v1',
		'/webhook',
		array(
			'methods'             => 'POST',
			'callback'            => __NAMESPACE__ . '\receive',
			'permission_callback' => '__return_true', // the signature is the permission; receive() looks at it first
		)
	);
}

/** One delivery. 2xx: done. 401: not from the service. 409, 5xx: come again. 422: this one can't be done. */
function receive( \WP_REST_Request $request ): \WP_REST_Response {
	$doubt = doubt( $request );
	if ( '' !== $doubt ) {
		note_refusal( $doubt );
		return refused( 401, 'moderation_' . $doubt, refusals()[ $doubt ] );
	}
	wp_set_current_user( 0 ); // what comes in is a visitor's, whoever carried it here: no unfiltered HTML
	$event  = json_decode( $request->get_body(), true, 32 );
	$answer = \is_array( $event ) && \is_string( $event['type'] ?? null ) && \is_array( $event['data'] ?? null )
		? handle( $event['type'], $event['data'] )
		: refused( 400, 'moderation_unreadable', __( 'The body could not be read.', 'moderation-receiver' ) );
	$told   = $answer->get_data();
	update_option(
		LAST_DELIVERY,
		array(
			'at'     => time(),
			'type'   => sanitize_text_field( \is_array( $event ) && \is_string( $event['type'] ?? null ) ? $event['type'] : '?' ),
			'status' => $answer->get_status(),
			'result' => $told['result'] ?? $told['message'] ?? '',
		),
		false
	);
	return $answer;
}

/** '' for a delivery that the service signed just now, else what is wrong with it. */
function doubt( \WP_REST_Request $request ): string {
	$id      = (string) $request->get_header( 'webhook-id' );
	$stamp   = (string) $request->get_header( 'webhook-timestamp' );
	$given   = (string) $request->get_header( 'webhook-signature' );
	$secrets = settings()['secrets'];
	if ( ! $secrets ) {
		return 'no_secret';
	}
	if ( '' === $id || '' === $stamp || '' === $given ) {
		return 'unsigned';
	}
	if ( ! preg_match( '/\A[0-9]{1,11}\z/', $stamp ) || abs( time() - (int) $stamp ) > TOLERANCE_SECONDS ) {
		return 'stale';
	}
	$right = false;
	foreach ( $secrets as $secret ) {
		$wanted = 'v1,' . base64_encode( hash_hmac( 'sha256', $id . '.' . $stamp . '.' . $request->get_body(), key_of( $secret ), true ) );
		foreach ( explode( ' ', $given ) as $one ) {
			$right = hash_equals( $wanted, $one ) || $right; // every one is looked at: time tells nothing
		}
	}
	return $right ? '' : 'signature';
}

/** The bytes of a secret such as whsec_…; '' for what is none. */
function key_of( string $secret ): string {
	$secret = 0 === strpos( $secret, 'whsec_' ) ? substr( $secret, 6 ) : $secret;
	$key    = base64_decode( $secret, true );
	return false === $key || \strlen( $key ) < SECRET_MIN_BYTES ? '' : $key;
}

function refusals(): array {
	return array(
		'no_secret' => __( 'No secret is set in WordPress: Settings, Comment moderation.', 'moderation-receiver' ),
		'unsigned'  => __( 'The delivery is not signed.', 'moderation-receiver' ),
		'stale'     => __( 'The time of the delivery is more than five minutes away from this server\'s.', 'moderation-receiver' ),
		'signature' => __( 'The signature is wrong: another secret, or the body was changed on its way.', 'moderation-receiver' ),
	);
}

function handle( string $type, array $data ): \WP_REST_Response {
	$ours = settings()['site'];
	if ( '' !== $ours && ( $data['site'] ?? null ) !== $ours ) {
		return refused( 422, 'moderation_site', __( 'The event is about another site than the one in the settings.', 'moderation-receiver' ) );
	}
	if ( ! isset( STATUS_OF[ $type ] ) ) {
		return done( 'endpoint.ping' === $type ? 'pong' : 'ignored' );
	}
	$comment  = $data['comment'] ?? null;
	$sequence = $data['sequence'] ?? null;
	if ( ! \is_array( $comment ) || ! \is_string( $comment['id'] ?? null ) || ! preg_match( UUID, $comment['id'] ) || ! \is_int( $sequence ) || $sequence < 0 ) {
		return never( 'moderation_invalid', __( 'The event names no comment.', 'moderation-receiver' ) );
	}
	$row = lease( $comment['id'] );
	if ( null === $row ) {
		return refused( 409, 'moderation_busy', __( 'Another delivery about this comment is being worked on.', 'moderation-receiver' ) );
	}
	try {
		return apply( STATUS_OF[ $type ], $sequence, $comment, $row );
	} finally {
		release( $row );
	}
}

/** Bring WordPress's comment to what an event says. The row is written last: until then the event has not been here. */
function apply( string $status, int $sequence, array $comment, object $row ): \WP_REST_Response {
	if ( 'erased' === $row->status || ( 'erased' !== $status && $sequence < (int) $row->sequence ) ) {
		return done( 'late', (int) $row->wp_id );
	}
	if ( $sequence === (int) $row->sequence && $status === $row->status ) {
		return done( 'repeated', (int) $row->wp_id );
	}
	$post  = post_of( $comment );
	$wp_id = standing( $comment, $row, $post );
	if ( 'approve' === $status && ! $wp_id ) {
		if ( ! $post ) {
			return never( 'moderation_thread', __( 'There is no such post.', 'moderation-receiver' ) );
		}
		$wp_id = insert( $comment, $post );
		if ( ! $wp_id ) {
			return refused( 500, 'moderation_database', __( 'The comment could not be saved.', 'moderation-receiver' ) );
		}
	}
	if ( 'erased' === $status ) {
		if ( $wp_id && ! wp_delete_comment( $wp_id, true ) ) {
			return refused( 500, 'moderation_database', __( 'The comment could not be deleted.', 'moderation-receiver' ) );
		}
		$wp_id = 0;
	} elseif ( $wp_id && ! set_status( $wp_id, $status, ! (int) $row->wp_id ) ) {
		return refused( 500, 'moderation_database', __( 'The comment could not be saved.', 'moderation-receiver' ) );
	}
	$row->wp_id    = $wp_id;
	$row->status   = $status;
	$row->sequence = $sequence;
	$row->parent   = \is_string( $comment['parent'] ?? null ) ? $comment['parent'] : $row->parent;
	if ( ! save( $row ) ) {
		return refused( 409, 'moderation_busy', __( 'Another delivery about this comment is being worked on.', 'moderation-receiver' ) );
	}
	if ( 'approve' === $status ) {
		join_family( $comment, $row );
	}
	return done( $wp_id ? $status : 'noted', $wp_id );
}

/** The post of a thread, or 0: the form's comment_post_ID is the name of the thread. */
function post_of( array $comment ): int {
	$thread = $comment['thread'] ?? '';
	$post   = \is_string( $thread ) && preg_match( '/\A[1-9][0-9]{0,18}\z/', $thread ) ? get_post( (int) $thread ) : null;
	return $post && 'trash' !== $post->post_status ? $post->ID : 0;
}

/** WordPress's id of the comment, or 0: by our row; by the mark that it was inserted or exported with; as an imported one. */
function standing( array $comment, object $row, int $post ): int {
	global $wpdb;
	$wp_id = (int) $row->wp_id;
	if ( $wp_id && get_comment( $wp_id ) ) {
		return $wp_id;
	}
	$wp_id = (int) $wpdb->get_var(
		$wpdb->prepare(
			"SELECT c.comment_ID FROM {$wpdb->comments} c LEFT JOIN {$wpdb->commentmeta} m ON m.comment_id = c.comment_ID AND m.meta_key = %s
			WHERE c.comment_post_ID = %d AND (c.comment_agent = %s OR m.meta_value = %s) LIMIT 1",
			META,
			$post,
			mark( $comment['id'] ),
			$comment['id']
		)
	);
	$wp_id = $wp_id ? $wp_id : imported_id( $comment, $post );
	if ( $wp_id ) {
		update_comment_meta( $wp_id, META, $comment['id'] );
	}
	return $wp_id;
}

/**
 * In the same row as the comment itself: a kill after the insert leaves a comment that the next attempt finds. Keyed, since everybody
 * chooses the user agent that WordPress keeps there.
 */
function mark( string $id ): string {
	return 'moderation/' . wp_hash( $id );
}

/**
 * A comment that WordPress had before the service: named by external_id, on the same post, written in the same second, and standing. Visitors
 * may send any external_id, but they can't write in the past, and nothing that waits in WordPress is approved by way of another comment.
 */
function imported_id( array $comment, int $post ): int {
	$named = $comment['external_id'] ?? '';
	$found = imported() && \is_string( $named ) && preg_match( '/\A[1-9][0-9]{0,18}\z/', $named ) ? get_comment( (int) $named ) : null;
	$same  = $found && $post && (int) $found->comment_post_ID === $post && '1' === $found->comment_approved && '' === id_of( $found )
		&& isset( $comment['created_at'] ) && $found->comment_date_gmt === gmt( $comment );
	return $same ? (int) $found->comment_ID : 0;
}

/** When it was written, as WordPress keeps times. */
function gmt( array $comment ): string {
	$at = \is_string( $comment['created_at'] ?? null ) ? strtotime( $comment['created_at'] ) : false;
	return gmdate( 'Y-m-d H:i:s', false === $at ? time() : $at );
}

/** A new comment, held until set_status: its id, or 0. No check for floods and duplicates: people decided already. */
function insert( array $comment, int $post ): int {
	global $wpdb;
	$author = \is_array( $comment['author'] ?? null ) ? $comment['author'] : array();
	$gmt    = gmt( $comment );
	$fields = wp_filter_comment(
		wp_slash(
			array(
				'comment_post_ID'      => $post,
				'comment_author'       => text( $author, 'name' ),
				'comment_author_email' => text( $author, 'email' ), // only an endpoint with include_email gets it
				'comment_author_url'   => text( $author, 'url' ),
				'comment_author_IP'    => '',
				'comment_agent'        => mark( $comment['id'] ),
				'comment_content'      => content( text( $comment, 'html' ) ),
				'user_id'              => 0,
			)
		)
	);
	foreach ( array( 'comment_author', 'comment_author_email', 'comment_author_url', 'comment_content' ) as $name ) {
		$fields[ $name ] = wp_slash( fitting( $name, wp_unslash( $fields[ $name ] ) ) );
	}
	$parent = parent_of( $comment, $post );
	return (int) wp_insert_comment(
		array_merge(
			$fields,
			array(
				'comment_date_gmt' => $gmt,
				'comment_date'     => get_date_from_gmt( $gmt ),
				'comment_parent'   => $parent,
				'comment_approved' => '0',
				'comment_type'     => 'comment',
				'comment_meta'     => array( META => $comment['id'] ),
			)
		)
	);
}

function text( array $from, string $name ): string {
	return \is_string( $from[ $name ] ?? null ) ? $from[ $name ] : '';
}

/** Paragraphs and line breaks as WordPress stores them; what is left of the HTML goes through its kses like any comment. */
function content( string $html ): string {
	$html = preg_replace( array( '~</p>\s*<p\b[^>]*>~i', '~<br\s*/?>~i', '~</?p\b[^>]*>~i' ), array( "\n\n", "\n", '' ), $html );
	return trim( (string) $html );
}

/** What the column can hold: bytes, and no emoji in old tables. A text is cut with an ellipsis, an address is whole or none. */
function fitting( string $column, string $value ): string {
	global $wpdb;
	$kept = $wpdb->strip_invalid_text_for_column( $wpdb->comments, $column, $value );
	$max  = wp_get_comment_fields_max_lengths()[ $column ];
	if ( ! \is_string( $kept ) || ( $kept !== $value && \in_array( $column, array( 'comment_author_email', 'comment_author_url' ), true ) ) ) {
		return '';
	}
	if ( \strlen( $kept ) <= $max ) {
		return $kept;
	}
	$cut = preg_replace( '/[\xC0-\xFF][\x80-\xBF]*\z/', '', substr( $kept, 0, $max - 3 ) ); // the last character may be half of one
	return force_balance_tags( preg_replace( '/(?:<[^>]*|&[^;\s]{0,8})\z/', '', $cut ) . '…' );
}

/** WordPress's id of the parent, or 0: none, or not here yet. What comes later is joined by join_family. */
function parent_of( array $comment, int $post ): int {
	$parent = text( $comment, 'parent' );
	if ( ! preg_match( UUID, $parent ) ) {
		return 0;
	}
	$wp_id = wp_id_of( $parent );
	$wp_id = $wp_id ? $wp_id : parent_from_service( $parent, $post );
	$found = $wp_id ? get_comment( $wp_id ) : null;
	return $found && (int) $found->comment_post_ID === $post ? $wp_id : 0;
}

/** An imported parent: the service's public list says under which id WordPress knows it. */
function parent_from_service( string $parent, int $post ): int {
	$address = api( '/threads/' . $post . '/comments' );
	$cursor  = '';
	$ends    = time() + 6;
	while ( imported() && '' !== $address && time() < $ends ) {
		$answer = wp_remote_get( add_query_arg( array_filter( array( 'limit' => 200, 'cursor' => $cursor ) ), $address ), array( 'timeout' => 3, 'redirection' => 0 ) );
		$page   = 200 === wp_remote_retrieve_response_code( $answer ) ? json_decode( wp_remote_retrieve_body( $answer ), true ) : null;
		foreach ( \is_array( $page['items'] ?? null ) ? $page['items'] : array() as $item ) {
			if ( \is_array( $item ) && ( $item['id'] ?? '' ) === $parent ) {
				return imported_id( $item, $post );
			}
		}
		$cursor = $page['next_cursor'] ?? '';
		if ( ! \is_string( $cursor ) || '' === $cursor ) {
			break;
		}
	}
	return 0;
}

/**
 * Replies and parents come in any order. Each writes its own row first and looks for the other then, so whichever is last finds both.
 */
function join_family( array $comment, object $row ): void {
	global $wpdb;
	$own  = get_comment( (int) $row->wp_id );
	$post = (int) $own->comment_post_ID;
	if ( ! (int) $own->comment_parent && '' !== (string) $row->parent ) {
		adopt( (int) $own->comment_ID, parent_of( array( 'parent' => $row->parent ), $post ) );
	}
	$replies = $wpdb->get_col( $wpdb->prepare( 'SELECT wp_id FROM ' . table() . ' WHERE parent = %s AND wp_id > 0', $row->id ) );
	foreach ( $replies as $reply ) {
		$reply = get_comment( (int) $reply );
		if ( $reply && ! (int) $reply->comment_parent && (int) $reply->comment_post_ID === $post ) {
			adopt( (int) $reply->comment_ID, (int) $own->comment_ID );
		}
	}
}

function adopt( int $reply, int $parent ): void {
	global $wpdb;
	if ( $parent && $parent !== $reply ) {
		$wpdb->update( $wpdb->comments, array( 'comment_parent' => $parent ), array( 'comment_ID' => $reply ) );
		clean_comment_cache( $reply );
	}
}

/** Whether the comment has that status now. The post's author is mailed by WordPress when it is approved for the first time only. */
function set_status( int $wp_id, string $status, bool $first ): bool {
	$comment = get_comment( $wp_id );
	if ( $comment->comment_approved === STORED_AS[ $status ] ) {
		wp_update_comment_count( (int) $comment->comment_post_ID ); // an attempt may have ended before it came to this
		return true;
	}
	if ( 'trash' === $status ) {
		return (bool) wp_trash_comment( $wp_id );
	}
	if ( ! $first ) {
		add_filter( 'notify_post_author', '__return_false', 99 );
	}
	try {
		return true === wp_set_comment_status( $wp_id, $status );
	} finally {
		remove_filter( 'notify_post_author', '__return_false', 99 );
	}
}

function done( string $result, int $wp_id = 0 ): \WP_REST_Response {
	return new \WP_REST_Response( array( 'result' => $result ) + ( $wp_id ? array( 'external_id' => (string) $wp_id ) : array() ) );
}

function refused( int $status, string $code, string $message ): \WP_REST_Response {
	return new \WP_REST_Response( array( 'code' => $code, 'message' => $message, 'data' => array( 'status' => $status ) ), $status );
}

/** No later attempt can do better: the service ends this delivery and shows it as dead. */
function never( string $code, string $message ): \WP_REST_Response {
	$answer = refused( 422, $code, $message );
	$answer->header( 'webhook-delivery', 'abort-message' );
	return $answer;
}

/** At most one note in ten seconds: anybody may post here. */
function note_refusal( string $doubt ): void {
	$last = get_option( LAST_REFUSAL );
	if ( ! \is_array( $last ) || $last['at'] < time() - 10 ) {
		update_option( LAST_REFUSAL, array( 'at' => time(), 'doubt' => $doubt ), false );
	}
}


// The table: one row per comment of the service that was ever heard of. Its key keeps a comment single, its sequence keeps the order,
// its lease one delivery at a time; an erased comment leaves its row.

function table(): string {
	global $wpdb;
	return $wpdb->prefix . 'moderation_receiver';
}

function ensure_table(): void {
	global $wpdb;
	if ( get_option( SCHEMA ) === SCHEMA_NOW ) {
		return;
	}
	require_once ABSPATH . 'wp-admin/includes/upgrade.php';
	dbDelta(
		'CREATE TABLE ' . table() . " (
			id varchar(36) NOT NULL,
			wp_id bigint(20) unsigned NOT NULL DEFAULT 0,
			parent varchar(36) NOT NULL DEFAULT '',
			sequence bigint(20) NOT NULL DEFAULT -1,
			status varchar(10) NOT NULL DEFAULT '',
			lease varchar(32) NOT NULL DEFAULT '',
			leased_until bigint(20) NOT NULL DEFAULT 0,
			PRIMARY KEY  (id),
			KEY wp_id (wp_id),
			KEY parent (parent)
		) {$wpdb->get_charset_collate()};"
	);
	update_option( SCHEMA, SCHEMA_NOW );
}

/** The comment's row, for this request alone; null when another holds it for five seconds. */
function lease( string $id ): ?object {
	global $wpdb;
	ensure_table();
	$lease = bin2hex( random_bytes( 16 ) );
	$wpdb->query( $wpdb->prepare( 'INSERT IGNORE INTO ' . table() . ' (id) VALUES (%s)', $id ) );
	for ( $try = 0; $try < 50; $try++ ) {
		$taken = $wpdb->query(
			$wpdb->prepare(
				'UPDATE ' . table() . ' SET lease = %s, leased_until = UNIX_TIMESTAMP() + %d WHERE id = %s AND leased_until < UNIX_TIMESTAMP()',
				$lease,
				LEASE_SECONDS,
				$id
			)
		);
		if ( 1 === $taken ) {
			return $wpdb->get_row( $wpdb->prepare( 'SELECT * FROM ' . table() . ' WHERE id = %s', $id ) );
		}
		usleep( 100000 );
	}
	return null;
}

/** Write what the row says, if it is still ours. */
function save( object $row ): bool {
	global $wpdb;
	$set   = array( 'wp_id' => $row->wp_id, 'parent' => $row->parent, 'sequence' => $row->sequence, 'status' => $row->status );
	$kinds = array( '%d', '%s', '%d', '%s' ); // said outright: WordPress takes every column named parent for a number
	return 1 === $wpdb->update( table(), $set, array( 'id' => $row->id, 'lease' => $row->lease ), $kinds );
}

function release( object $row ): void {
	global $wpdb;
	$wpdb->update( table(), array( 'lease' => '', 'leased_until' => 0 ), array( 'id' => $row->id, 'lease' => $row->lease ) );
}

/** WordPress's id of one of the service's comments, or 0. */
function wp_id_of( string $id ): int {
	global $wpdb;
	ensure_table();
	return (int) $wpdb->get_var( $wpdb->prepare( 'SELECT wp_id FROM ' . table() . ' WHERE id = %s', $id ) );
}


// The settings page.

add_action( 'admin_menu', __NAMESPACE__ . '\add_page' );
add_action( 'admin_init', __NAMESPACE__ . '\register_settings' );
add_filter( 'plugin_action_links_' . plugin_basename( __FILE__ ), __NAMESPACE__ . '\settings_link' );

function add_page(): void {
	$title = __( 'Comment moderation', 'moderation-receiver' );
	add_options_page( $title, $title, 'manage_options', SETTINGS, __NAMESPACE__ . '\page' );
}

function settings_link( array $links ): array {
	array_unshift( $links, sprintf( '<a href="%s">%s</a>', esc_url( page_address() ), esc_html__( 'Settings', 'moderation-receiver' ) ) );
	return $links;
}

function page_address(): string {
	return admin_url( 'options-general.php?page=' . SETTINGS );
}

/** WordPress's own options.php takes the form: it checks the nonce and the capability. */
function register_settings(): void {
	register_setting( SETTINGS, SETTINGS, array( 'type' => 'array', 'sanitize_callback' => __NAMESPACE__ . '\cleaned', 'show_in_rest' => false ) );
}

/** What was typed → what is kept; what is wrong is said and stays as it was. May be asked twice with its own answer. */
function cleaned( $typed ): array {
	$kept  = settings();
	$typed = \is_array( $typed ) ? $typed : array();
	$next  = $kept;

	$service = untrailingslashit( trim( text( $typed, 'service' ) ) );
	if ( '' !== $service && ! preg_match( '~\Ahttps?://[^\s/?#@]+(/[^\s?#]*)?\z~', $service ) ) {
		complain( __( 'The address of the service must begin with https:// (or http:// inside a private network).', 'moderation-receiver' ) );
	} else {
		$next['service'] = esc_url_raw( $service, array( 'http', 'https' ) );
	}
	$site = trim( text( $typed, 'site' ) );
	if ( '' !== $site && ! preg_match( '/\A[a-z0-9][a-z0-9_-]{0,62}\z/', $site ) ) {
		complain( __( 'The site\'s id has small letters, digits, hyphens and underscores only.', 'moderation-receiver' ) );
	} else {
		$next['site'] = $site;
	}
	$next['imported'] = empty( $typed['imported'] ) ? 0 : 1;

	$forget  = array_map( 'strval', \is_array( $typed['forget'] ?? null ) ? $typed['forget'] : array() );
	$known   = \is_array( $typed['secrets'] ?? null ) ? array_map( 'strval', $typed['secrets'] ) : $kept['secrets']; // what is set by program
	$secrets = array_filter( $known, fn( $secret ) => '' !== key_of( $secret ) && ! \in_array( fingerprint( $secret ), $forget, true ) );
	$new     = trim( text( $typed, 'secret' ) );
	if ( '' !== $new && '' === key_of( $new ) ) {
		complain( __( 'That is no secret of an endpoint: it begins with whsec_ and is copied whole.', 'moderation-receiver' ) );
	} elseif ( '' !== $new ) {
		array_unshift( $secrets, $new );
	}
	$next['secrets'] = \array_slice( array_values( array_unique( $secrets ) ), 0, SECRETS_MAX );
	return $next;
}

function complain( string $message ): void {
	if ( \function_exists( 'add_settings_error' ) ) {
		add_settings_error( SETTINGS, md5( $message ), $message );
	}
}

/** A name for a secret from which nobody can make the secret. */
function fingerprint( string $secret ): string {
	return substr( hash( 'sha256', $secret ), 0, 8 );
}

/** Ask the service whether it knows the site: '' when it does, else what is wrong. */
function trouble(): string {
	$answer = wp_remote_get( api( '/counts' ) . '?thread=0', array( 'timeout' => 4, 'redirection' => 0 ) );
	$status = wp_remote_retrieve_response_code( $answer );
	if ( 200 === $status ) {
		return '';
	}
	return 404 === $status
		? __( 'The service answers, but has no site with this id.', 'moderation-receiver' )
		: __( 'The service does not answer at this address.', 'moderation-receiver' );
}

function when( int $at ): string {
	return wp_date( get_option( 'date_format' ) . ' ' . get_option( 'time_format' ), $at );
}

function page(): void {
	if ( ! current_user_can( 'manage_options' ) ) {
		return;
	}
	$set      = settings();
	$delivery = get_option( LAST_DELIVERY );
	$refusal  = get_option( LAST_REFUSAL );
	$trouble  = '' === api( '' ) ? '' : trouble();
	?>
	<div class="wrap">
	<h1><?php esc_html_e( 'Comment moderation', 'moderation-receiver' ); ?></h1>
	<h2><?php esc_html_e( 'State', 'moderation-receiver' ); ?></h2>
	<table class="form-table" role="presentation">
		<tr><th scope="row"><?php esc_html_e( 'The form', 'moderation-receiver' ); ?></th><td>
		<?php
		if ( '' === api( '' ) ) {
			esc_html_e( 'Comments still go to WordPress itself: name the service and the site below.', 'moderation-receiver' );
		} else {
			echo esc_html( '' === $trouble ? __( 'Comments go to the service, and it answers.', 'moderation-receiver' ) : $trouble );
		}
		?>
		</td></tr>
		<tr><th scope="row"><?php esc_html_e( 'Last delivery', 'moderation-receiver' ); ?></th><td id="moderation-last">
		<?php
		if ( \is_array( $delivery ) ) {
			echo esc_html( when( (int) $delivery['at'] ) ), ' <bdi dir="ltr">', esc_html( $delivery['type'] . ' → ' . $delivery['status'] ), '</bdi> <bdi>', esc_html( $delivery['result'] ), '</bdi>';
		} else {
			esc_html_e( 'None so far.', 'moderation-receiver' );
		}
		?>
		</td></tr>
		<?php if ( \is_array( $refusal ) ) : ?>
		<tr><th scope="row"><?php esc_html_e( 'Last refusal', 'moderation-receiver' ); ?></th><td id="moderation-refusal">
			<?php echo esc_html( when( (int) $refusal['at'] ) . ' ' . ( refusals()[ $refusal['doubt'] ] ?? '' ) ); ?>
		</td></tr>
		<?php endif; ?>
	</table>
	<h2><?php esc_html_e( 'Settings', 'moderation-receiver' ); ?></h2>
	<form action="options.php" method="post" autocomplete="off">
	<?php settings_fields( SETTINGS ); ?>
	<table class="form-table" role="presentation">
		<tr><th scope="row"><label for="moderation-service"><?php esc_html_e( 'Address of the service', 'moderation-receiver' ); ?></label></th>
		<td><input id="moderation-service" class="regular-text code" dir="ltr" type="url" name="<?php echo esc_attr( SETTINGS ); ?>[service]" value="<?php echo esc_attr( $set['service'] ); ?>" placeholder="https://comments.example.org"></td></tr>
		<tr><th scope="row"><label for="moderation-site"><?php esc_html_e( 'Id of this site there', 'moderation-receiver' ); ?></label></th>
		<td><input id="moderation-site" class="regular-text code" dir="ltr" type="text" name="<?php echo esc_attr( SETTINGS ); ?>[site]" value="<?php echo esc_attr( $set['site'] ); ?>" placeholder="news"></td></tr>
		<tr><th scope="row"><?php esc_html_e( 'Endpoint', 'moderation-receiver' ); ?></th>
		<td><code id="moderation-endpoint" dir="ltr"><?php echo esc_html( rest_url( 'moderation/v1/webhook' ) ); ?></code>
		<p class="description"><?php esc_html_e( 'Make an endpoint with this address at the service, for the events below. The answer holds its secret.', 'moderation-receiver' ); ?><br>
		<code dir="ltr"><?php echo esc_html( implode( ' ', array_keys( STATUS_OF ) ) ); ?></code></p></td></tr>
		<tr><th scope="row"><label for="moderation-secret"><?php esc_html_e( 'New secret', 'moderation-receiver' ); ?></label></th>
		<td><input id="moderation-secret" class="regular-text code" dir="ltr" type="password" autocomplete="new-password" name="<?php echo esc_attr( SETTINGS ); ?>[secret]" placeholder="whsec_…">
		<p class="description"><?php esc_html_e( 'It stands beside the present ones: rotate at the service, paste the new one here, forget the old one a day later.', 'moderation-receiver' ); ?></p></td></tr>
		<?php if ( $set['secrets'] ) : ?>
		<tr><th scope="row"><?php esc_html_e( 'Present secrets', 'moderation-receiver' ); ?></th><td><fieldset>
			<legend class="screen-reader-text"><?php esc_html_e( 'Present secrets', 'moderation-receiver' ); ?></legend>
			<?php foreach ( $set['secrets'] as $secret ) : ?>
			<p><code dir="ltr">whsec_…<?php echo esc_html( substr( $secret, -4 ) ); ?></code>
			<label><input type="checkbox" name="<?php echo esc_attr( SETTINGS ); ?>[forget][]" value="<?php echo esc_attr( fingerprint( $secret ) ); ?>">
			<?php esc_html_e( 'Forget it', 'moderation-receiver' ); ?></label></p>
			<?php endforeach; ?>
		</fieldset></td></tr>
		<?php endif; ?>
		<tr><th scope="row"><?php esc_html_e( 'Older comments', 'moderation-receiver' ); ?></th>
		<td><label><input type="checkbox" name="<?php echo esc_attr( SETTINGS ); ?>[imported]" value="1" <?php checked( imported() ); ?>>
		<?php esc_html_e( 'They were imported into the service under their WordPress ids', 'moderation-receiver' ); ?></label>
		<p class="description"><?php esc_html_e( 'Else they have no reply link: the service would refuse a reply to a comment that it does not know.', 'moderation-receiver' ); ?></p></td></tr>
	</table>
	<?php submit_button(); ?>
	</form>
	</div>
	<?php
}


// Coming and going.

register_activation_hook( __FILE__, __NAMESPACE__ . '\activate' );

function activate(): void {
	ensure_table();
	register_uninstall_hook( __FILE__, __NAMESPACE__ . '\uninstall' );
}

/** The settings and the table go, in every site of a network; the comments stay, and so does their id in the meta: who comes back finds them. */
function uninstall(): void {
	foreach ( is_multisite() ? get_sites( array( 'fields' => 'ids', 'number' => 0 ) ) : array( 0 ) as $blog ) {
		global $wpdb;
		$blog && switch_to_blog( $blog );
		array_map( 'delete_option', array( SETTINGS, LAST_DELIVERY, LAST_REFUSAL, SCHEMA ) );
		$wpdb->query( 'DROP TABLE IF EXISTS ' . table() );
		$blog && restore_current_blog();
	}
}


// Arabic. Other languages: the usual .mo file of the text domain; what it translates wins.

add_filter( 'gettext_moderation-receiver', __NAMESPACE__ . '\arabic', 10, 2 );

function arabic( $translated, $text ) {
	return $translated === $text && 0 === strpos( determine_locale(), 'ar' ) ? ARABIC[ $text ] ?? $text : $translated;
}

const ARABIC = array(
	'Tell me about replies by mail.'           => 'أبلغوني بالردود عبر البريد الإلكتروني.',
	'Thank you. Your comment waits for review.' => 'شكراً لك. تعليقك في انتظار المراجعة.',
	'Thank you. Your comment is published and will stand here in a moment.' => 'شكراً لك. نُشر تعليقك وسيظهر هنا بعد لحظات.',
	'No secret is set in WordPress: Settings, Comment moderation.' => 'لم يُحدَّد أي مفتاح سري في ووردبريس: الإعدادات، مراجعة التعليقات.',
	'The delivery is not signed.'              => 'الرسالة الواردة غير موقّعة.',
	'The time of the delivery is more than five minutes away from this server\'s.' => 'وقت الرسالة يبعد أكثر من خمس دقائق عن وقت هذا الخادم.',
	'The signature is wrong: another secret, or the body was changed on its way.' => 'التوقيع خاطئ: مفتاح سري آخر، أو تغيّر المحتوى في طريقه.',
	'The body could not be read.'              => 'تعذّرت قراءة المحتوى.',
	'The event is about another site than the one in the settings.' => 'الحدث يخص موقعاً غير الموقع المذكور في الإعدادات.',
	'The event names no comment.'              => 'لا يذكر الحدث أي تعليق.',
	'Another delivery about this comment is being worked on.' => 'تجري الآن معالجة رسالة أخرى عن هذا التعليق.',
	'There is no such post.'                   => 'لا توجد مقالة كهذه.',
	'The comment could not be saved.'          => 'تعذّر حفظ التعليق.',
	'The comment could not be deleted.'        => 'تعذّر حذف التعليق.',
	'Comment moderation'                       => 'مراجعة التعليقات',
	'Settings'                                 => 'الإعدادات',
	'State'                                    => 'الحالة',
	'The form'                                 => 'نموذج التعليق',
	'Comments still go to WordPress itself: name the service and the site below.' => 'ما زالت التعليقات تذهب إلى ووردبريس نفسه: حدِّد الخدمة والموقع أدناه.',
	'Comments go to the service, and it answers.' => 'تذهب التعليقات إلى الخدمة، والخدمة تستجيب.',
	'The service answers, but has no site with this id.' => 'الخدمة تستجيب، لكن ليس لديها موقع بهذا المعرّف.',
	'The service does not answer at this address.' => 'لا تستجيب الخدمة على هذا العنوان.',
	'Last delivery'                            => 'آخر رسالة واردة',
	'None so far.'                             => 'لا شيء حتى الآن.',
	'Last refusal'                             => 'آخر رفض',
	'Address of the service'                   => 'عنوان الخدمة',
	'Id of this site there'                    => 'معرّف هذا الموقع فيها',
	'Endpoint'                                 => 'عنوان الاستقبال',
	'Make an endpoint with this address at the service, for the events below. The answer holds its secret.' => 'أنشئ في الخدمة عنوان استقبال بهذا العنوان للأحداث أدناه. يحوي الجواب مفتاحه السري.',
	'New secret'                               => 'مفتاح سري جديد',
	'It stands beside the present ones: rotate at the service, paste the new one here, forget the old one a day later.' => 'يُضاف إلى المفاتيح الحالية: بدِّل المفتاح في الخدمة، والصق الجديد هنا، ثم احذف القديم بعد يوم.',
	'Present secrets'                          => 'المفاتيح السرية الحالية',
	'Forget it'                                => 'احذفه',
	'Older comments'                           => 'التعليقات الأقدم',
	'They were imported into the service under their WordPress ids' => 'استُوردت إلى الخدمة بمعرّفاتها في ووردبريس',
	'Else they have no reply link: the service would refuse a reply to a comment that it does not know.' => 'وإلا فلا يظهر لها رابط الرد: ترفض الخدمة الرد على تعليق لا تعرفه.',
	'The address of the service must begin with https:// (or http:// inside a private network).' => 'يجب أن يبدأ عنوان الخدمة بـ https:// (أو http:// داخل شبكة خاصة).',
	'The site\'s id has small letters, digits, hyphens and underscores only.' => 'معرّف الموقع أحرف لاتينية صغيرة وأرقام وشرطات وشرطات سفلية فقط.',
	'That is no secret of an endpoint: it begins with whsec_ and is copied whole.' => 'هذا ليس مفتاحاً سرياً لعنوان استقبال: يبدأ بـ whsec_ ويُنسخ كاملاً.',
);
