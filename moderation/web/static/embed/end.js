customElements.get("comment-thread") || customElements.define("comment-thread", CommentThread);
