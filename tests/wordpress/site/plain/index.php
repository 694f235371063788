<?php // The least that a classic theme is: the article, its comments, the stock form. ?>
<!doctype html>
<html <?php language_attributes(); ?>>
<head><meta charset="utf-8"><?php wp_head(); ?></head>
<body>
<?php
while ( have_posts() ) {
	the_post();
	the_title( '<h1>', '</h1>' );
	the_content();
	if ( is_singular() ) {
		wp_enqueue_script( 'comment-reply' );
		comments_template();
	}
}
wp_footer();
?>
</body>
</html>
