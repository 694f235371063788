const WORDS = {
  en: ["Comments", "No comments yet.", "Reply to", "More comments", "The comments can't be reached right now.", "Try again"],
  ar: ["التعليقات", "لا تعليقات بعد.", "الردّ على", "تعليقات أخرى", "تعذّر الوصول إلى التعليقات الآن.", "أعد المحاولة"],
  fr: ["Commentaires", "Aucun commentaire.", "Répondre à", "Plus de commentaires", "Les commentaires sont inaccessibles pour le moment.", "Réessayer"],
  de: ["Kommentare", "Noch keine Kommentare.", "Antwort an", "Weitere Kommentare", "Die Kommentare sind gerade nicht erreichbar.", "Noch einmal"],
  es: ["Comentarios", "Aún no hay comentarios.", "Responder a", "Más comentarios", "No se puede acceder a los comentarios ahora.", "Reintentar"],
  fa: ["دیدگاه‌ها", "هنوز دیدگاهی نیست.", "پاسخ به", "دیدگاه‌های بیشتر", "دیدگاه‌ها اکنون در دسترس نیستند.", "تلاش دوباره"],
  he: ["תגובות", "אין עדיין תגובות.", "תגובה אל", "תגובות נוספות", "אי אפשר להגיע לתגובות כרגע.", "לנסות שוב"],
  tr: ["Yorumlar", "Henüz yorum yok.", "Yanıtlanan:", "Daha fazla yorum", "Yorumlara şu anda ulaşılamıyor.", "Yeniden dene"],
};
const RTL = /^(ar|arc|ckb|dv|fa|he|iw|ks|ps|sd|syr|ug|ur|yi)\b(?!-latn)/i;
// what is deeper stands there too, and says whom it answers
const DEPTH_MAX = 4;
const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host{--a:var(--ct-accent,light-dark(#0b5c72,#7fd0e2));--s:var(--ct-soft,color-mix(in srgb,currentColor 76%,transparent));--l:var(--ct-line,color-mix(in srgb,currentColor 18%,transparent));--p:var(--ct-paper,Canvas);--r:var(--ct-round,.5rem);--t:color-mix(in srgb,var(--a) 12%,transparent);display:block;color:var(--ct-ink,inherit);line-height:1.6;overflow-wrap:anywhere}
:host([dir=rtl]){line-height:1.85}:host([theme=light]){color-scheme:light}:host([theme=dark]){color-scheme:dark}
*{box-sizing:border-box}h2{font-size:1.4em;line-height:1.35;margin:1.5em 0 .25em}ol{list-style:none;margin:0;padding:0}
li li{padding-inline-start:1.1rem;border-inline-start:2px solid var(--l)}
li ol{margin-block-end:.6rem}article{padding-block:1rem .5rem}li li>article{padding-block:.7rem .3rem}ol:not(ol ol)>li+li{border-block-start:1px solid var(--l)}
article.h{background:var(--t);box-shadow:0 0 0 .5rem var(--t);border-radius:.1rem}
header{display:flex;gap:.7rem;align-items:center;margin-block-end:.35rem;line-height:1.45}header>div{min-inline-size:0}
.f{flex:none;display:grid;place-items:center;inline-size:2.4rem;block-size:2.4rem;border-radius:50%;background:var(--t);color:var(--a);font-weight:700}li li .f{inline-size:1.9rem;block-size:1.9rem;font-size:.85em}
h3{font-size:1em;margin:0}h3 a,time a,.s a{color:inherit}time{display:block}time a{text-decoration:none}time a:hover{text-decoration:underline}
a{color:var(--a);text-underline-offset:.2em}.t p{margin:.3em 0}.s,time{color:var(--s);font-size:.88em}p.s{margin:.2em 0}
button{font:inherit;color:var(--a);background:none;border:1px solid var(--l);border-radius:var(--r);padding:.4rem .9rem;cursor:pointer}button:hover{border-color:currentColor}
button.q{border:0;padding:.25rem 0;font-weight:600;font-size:.92em}button.q:hover{text-decoration:underline}
:focus-visible{outline:3px solid var(--a);outline-offset:2px}[tabindex="-1"]:focus{outline:0}[hidden]{display:none!important}
@media(max-width:30em){li li{padding-inline-start:.7rem}li li li{padding-inline-start:.5rem}}@media print{button,form{display:none!important}}`);

// the service has sanitised it: paragraphs, line breaks and links only; a page that demands Trusted Types may allow this policy
const trusted = globalThis.trustedTypes?.createPolicy("comment-thread", { createHTML: (html) => html });

const make = (name, properties = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) key in node && key !== "part" ? (node[key] = value) : node.setAttribute(key, value);
  node.append(...children.filter((child) => child != null));
  return node;
};
const isolated = (comment) => make("bdi", { textContent: comment.author.name || "–" });

// form.js, where it is part of the script
let Form;

class CommentThread extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    this.lang ||= language(this);
    this.dir ||= this.closest("[dir]") ? getComputedStyle(this).direction : RTL.test(this.lang) ? "rtl" : "ltr";
    const [title, , , more] = (this.words = WORDS[this.lang.slice(0, 2)] ?? WORDS.en);
    const style = { dateStyle: "long", timeStyle: "short" };
    try {
      this.when = new Intl.DateTimeFormat(this.lang, style);
    } catch {
      this.when = new Intl.DateTimeFormat("en", style);
    }
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = Form ? [sheet, Form.sheet] : [sheet];
    this.list = make("ol", { part: "list" });
    this.note = make("p", { className: "s", role: "status", part: "status" });
    this.more = make("button", { type: "button", hidden: true, part: "button", textContent: more, onclick: () => this.load(true) });
    this.shadowRoot.append(make("h2", { textContent: title, part: "title" }), this.list, this.note, this.more);
    if (Form && this.getAttribute("form") !== "off") this.form = new Form(this);
    addEventListener("hashchange", () => this.reveal());
    this.restart(location.hash.slice(1));
  }

  restart(id) {
    this.shown = new Map();
    this.cursor = null;
    this.list.replaceChildren();
    this.loading = null; // what is on its way shows what was
    this.load(false, /^comment-[\da-f-]{36}$/.test(id) && id);
  }

  async load(onward, target) {
    if (this.loading) return;
    const turn = (this.loading = {});
    const flat = this.getAttribute("view") === "flat";
    try {
      do {
        const query = new URLSearchParams({ limit: 100, order: this.getAttribute("order") || "oldest", view: flat ? "flat" : "nested", cursor: this.cursor || "" });
        const answer = await fetch(`${api(this)}/threads/${encodeURIComponent(threadOf(this))}/comments?${query}`);
        if (!answer.ok) throw answer;
        const page = await answer.json();
        if (turn !== this.loading) return;
        const [first] = page.items.map((comment) => this.show(comment, flat));
        this.cursor = page.next_cursor;
        this.more.hidden = !this.cursor;
        this.note.replaceChildren(page.total ? "" : this.words[1]);
        if (onward) first?.focus();
      } while (target && this.cursor && !this.shadowRoot.getElementById(target));
      if (target) this.reveal(target);
    } catch {
      if (turn !== this.loading) return;
      this.note.replaceChildren(this.words[4], " ", make("button", { type: "button", part: "button", textContent: this.words[5], onclick: () => this.load(onward, target) }));
    }
    this.loading = null;
  }

  reveal(id = location.hash.slice(1)) {
    const article = id && this.shadowRoot.getElementById(id);
    if (!article) return;
    this.shadowRoot.querySelector(".h")?.classList.remove("h");
    article.classList.add("h");
    article.scrollIntoView({ block: "center" });
    article.focus({ preventScroll: true });
  }

  show(comment, flat) {
    const parent = this.shown.get(comment.parent);
    const at = new Date(comment.created_at);
    const here = (id) => `${location.pathname}${location.search}#comment-${id}`;
    const name = isolated(comment);
    const text = make("div", { className: "t", dir: comment.direction, lang: comment.locale, part: "text" });
    text.innerHTML = trusted ? trusted.createHTML(comment.html) : comment.html;
    const by = make("h3", { id: `by-${comment.id}`, part: "author" }, comment.author.url ? make("a", { href: comment.author.url, rel: "nofollow ugc noopener" }, name) : name);
    const time = make("time", { dateTime: at.toISOString(), part: "time" }, make("a", { href: here(comment.id), textContent: this.when.format(at) }));
    const whom = parent && (flat || parent.depth === DEPTH_MAX) && make("p", { className: "s" }, this.words[2] + " ", make("a", { href: here(comment.parent) }, isolated(parent.comment)));
    const article = make("article", { id: `comment-${comment.id}`, part: "comment", tabIndex: -1, "aria-labelledby": by.id },
      make("header", {}, make("span", { className: "f", ariaHidden: "true", part: "face", textContent: [...(comment.author.name || "–")][0] }), make("div", {}, by, time)), whom || null, text, this.form?.opener(comment));
    const item = { comment, depth: parent && !flat ? Math.min(parent.depth + 1, DEPTH_MAX) : 0, node: make("li", {}, article) };
    let list = this.list;
    if (parent && !flat) {
      if (parent.depth === DEPTH_MAX) list = parent.node.parentNode;
      else parent.node.append((list = parent.replies ??= make("ol")));
    }
    list.append(item.node);
    this.shown.set(comment.id, item);
    return article;
  }
}
