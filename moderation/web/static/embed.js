// <comment-thread site="news" thread="41"></comment-thread>: the comments of a page, and the form. Licence: MIT.
// No cookies, no third party. Looks: --ct-accent, --ct-ink, --ct-soft, --ct-line, --ct-paper and ::part(…); see docs/embed.md.
{
const BASE = (document.currentScript?.src ?? "").replace(/\/embed\.js.*$/, ""); // loaded as a module: give each element a base
const WORDS = {
  en: ["Comments", "No comments yet.", "Reply", "Leave a comment", "Reply to", "Cancel", "Name", "E-mail", "Comment", "Your e-mail address will not be published. Required fields are marked *", "Remember me in this browser", "Tell me of replies by mail", "Post comment", "Thank you. Your comment waits for review.", "Thank you. Your comment is published.", "More comments", "The comments can't be reached right now.", "Try again"],
  ar: ["التعليقات", "لا تعليقات بعد.", "ردّ", "اترك تعليقاً", "الردّ على", "إلغاء", "الاسم", "البريد الإلكتروني", "التعليق", "لن يتم نشر عنوان بريدك الإلكتروني. الحقول الإلزامية مشار إليها بـ *", "تذكّرني في هذا المتصفح", "أعلموني بالردود بالبريد", "إرسال التعليق", "شكراً لك. تعليقك بانتظار المراجعة.", "شكراً لك. نُشر تعليقك.", "تعليقات أخرى", "تعذّر الوصول إلى التعليقات الآن.", "أعد المحاولة"],
  fr: ["Commentaires", "Aucun commentaire.", "Répondre", "Laisser un commentaire", "Répondre à", "Annuler", "Nom", "E-mail", "Commentaire", "Votre adresse e-mail ne sera pas publiée. Les champs obligatoires sont indiqués avec *", "Se souvenir de moi dans ce navigateur", "M’avertir des réponses par e-mail", "Publier le commentaire", "Merci. Votre commentaire attend d’être relu.", "Merci. Votre commentaire est publié.", "Plus de commentaires", "Les commentaires sont inaccessibles pour le moment.", "Réessayer"],
  de: ["Kommentare", "Noch keine Kommentare.", "Antworten", "Kommentar schreiben", "Antwort an", "Abbrechen", "Name", "E-Mail", "Kommentar", "Ihre E-Mail-Adresse wird nicht veröffentlicht. Pflichtfelder sind mit * markiert", "In diesem Browser merken", "Antworten per E-Mail melden", "Kommentar absenden", "Danke. Ihr Kommentar wartet auf Prüfung.", "Danke. Ihr Kommentar ist veröffentlicht.", "Weitere Kommentare", "Die Kommentare sind gerade nicht erreichbar.", "Noch einmal"],
  es: ["Comentarios", "Aún no hay comentarios.", "Responder", "Deja un comentario", "Responder a", "Cancelar", "Nombre", "Correo electrónico", "Comentario", "Tu correo electrónico no será publicado. Los campos obligatorios están marcados con *", "Recordarme en este navegador", "Avisarme de las respuestas por correo", "Publicar el comentario", "Gracias. Tu comentario espera revisión.", "Gracias. Tu comentario está publicado.", "Más comentarios", "No se puede acceder a los comentarios ahora.", "Reintentar"],
  fa: ["دیدگاه‌ها", "هنوز دیدگاهی نیست.", "پاسخ", "دیدگاه خود را بنویسید", "پاسخ به", "انصراف", "نام", "ایمیل", "دیدگاه", "نشانی ایمیل شما منتشر نخواهد شد. بخش‌های موردنیاز با * مشخص شده‌اند", "مرا در این مرورگر به یاد بسپار", "پاسخ‌ها را با ایمیل خبر بده", "فرستادن دیدگاه", "سپاس. دیدگاه شما در انتظار بررسی است.", "سپاس. دیدگاه شما منتشر شد.", "دیدگاه‌های بیشتر", "دیدگاه‌ها اکنون در دسترس نیستند.", "تلاش دوباره"],
  he: ["תגובות", "אין עדיין תגובות.", "להשיב", "כתיבת תגובה", "תגובה אל", "ביטול", "שם", "אימייל", "תגובה", "האימייל לא יוצג באתר. שדות החובה מסומנים *", "לזכור אותי בדפדפן הזה", "להודיע לי על תשובות באימייל", "שליחת התגובה", "תודה. תגובתך ממתינה לאישור.", "תודה. תגובתך פורסמה.", "תגובות נוספות", "אי אפשר להגיע לתגובות כרגע.", "לנסות שוב"],
  tr: ["Yorumlar", "Henüz yorum yok.", "Yanıtla", "Yorum yap", "Yanıtlanan:", "Vazgeç", "Ad", "E-posta", "Yorum", "E-posta adresiniz yayımlanmayacak. Gerekli alanlar * ile işaretlenmiştir", "Beni bu tarayıcıda hatırla", "Yanıtları e-postayla bildir", "Yorumu gönder", "Teşekkürler. Yorumunuz incelenmeyi bekliyor.", "Teşekkürler. Yorumunuz yayımlandı.", "Daha fazla yorum", "Yorumlara şu anda ulaşılamıyor.", "Yeniden dene"],
};
const RTL = /^(ar|fa|he|ur|ps|ckb|yi|ug|sd|dv)\b/;
const MEMORY = "comment-thread";
const sheet = new CSSStyleSheet();
sheet.replaceSync(`
:host{--a:var(--ct-accent,light-dark(#0b5c72,#7fd0e2));--s:var(--ct-soft,color-mix(in srgb,currentColor 76%,transparent));--l:var(--ct-line,color-mix(in srgb,currentColor 22%,transparent));--p:var(--ct-paper,Canvas);--e:light-dark(#b3261e,#ff9f96);display:block;color:var(--ct-ink,inherit);line-height:1.6}
:host([dir=rtl]){line-height:1.85}:host([theme=light]){color-scheme:light}:host([theme=dark]){color-scheme:dark}
*{box-sizing:border-box}h2,h3{line-height:1.35;margin:1.5em 0 .5em}ol{list-style:none;margin:0;padding:0}
ol ol{margin-inline-start:.75rem;padding-inline-start:.75rem;border-inline-start:2px solid var(--l)}
article{padding-block:.75rem}article:target{background:color-mix(in srgb,var(--a) 12%,transparent)}
header{color:var(--s);font-size:.9em}header b{color:var(--ct-ink,CanvasText);font-size:1.1em}a{color:var(--a)}
.t{overflow-wrap:anywhere}.t p{margin:.35em 0}.s{color:var(--s);font-size:.9em}.e{color:var(--e)}
label{display:block;margin-block:.75rem 0}label>span{display:block;font-weight:600}label.c{display:flex;gap:.5rem;align-items:baseline}label.c>span{font-weight:400}
input:not([type=checkbox]),textarea{inline-size:100%;font:inherit;color:inherit;background:var(--p);border:1px solid var(--s);border-radius:.4rem;padding:.55rem .7rem}
textarea{min-block-size:8rem;resize:vertical}[aria-invalid=true]{border-color:var(--e);border-width:2px}
button{font:inherit;color:var(--a);background:none;border:1px solid var(--l);border-radius:.4rem;padding:.35rem .8rem;cursor:pointer}
button[type=submit]{background:var(--a);color:var(--p);border-color:var(--a);font-weight:600;padding:.6rem 1.2rem;margin-block-start:1rem}
:focus-visible{outline:3px solid var(--a);outline-offset:2px}.n{border-inline-start:.3rem solid var(--a);padding:.6rem .9rem;background:color-mix(in srgb,var(--a) 10%,transparent)}
.h{position:absolute;inset-inline-start:-99rem}[hidden]{display:none}`);

const make = (name, properties = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) key in node && key !== "part" ? (node[key] = value) : node.setAttribute(key, value);
  node.append(...children.filter((child) => child != null));
  return node;
};

class CommentThread extends HTMLElement {
  connectedCallback() {
    if (this.shadowRoot) return;
    const near = this.closest("[lang]")?.lang || navigator.language || "en";
    this.lang ||= near;
    this.dir ||= RTL.test(this.lang) ? "rtl" : "ltr";
    this.words = WORDS[this.lang.slice(0, 2).toLowerCase()] ?? WORDS.en;
    const [title, , , leave] = this.words;
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [sheet];
    this.list = make("ol", { part: "list" });
    this.note = make("p", { className: "s", role: "status", part: "status" });
    this.more = make("button", { type: "button", hidden: true, textContent: this.words[15], onclick: () => this.load() });
    this.shadowRoot.append(make("h2", { textContent: title, part: "title" }), this.list, this.note, this.more);
    if (this.getAttribute("form") !== "off") this.shadowRoot.append((this.place = make("div", {}, this.build(leave))));
    this.load();
  }

  get api() {
    return `${this.getAttribute("base") || BASE}/api/v1/sites/${encodeURIComponent(this.getAttribute("site"))}`;
  }

  get thread() {
    return this.getAttribute("thread") || location.pathname;
  }

  async load() {
    try {
      const query = new URLSearchParams({ limit: 100, order: this.getAttribute("order") || "oldest", ...(this.cursor && { cursor: this.cursor }) });
      const answer = await fetch(`${this.api}/threads/${encodeURIComponent(this.thread)}/comments?${query}`);
      if (!answer.ok) throw answer;
      const page = await answer.json();
      for (const comment of page.items) this.show(comment);
      this.cursor = page.next_cursor;
      this.more.hidden = !page.next_cursor;
      this.note.replaceChildren(page.total ? "" : this.words[1]);
      if (location.hash.startsWith("#comment-")) this.shadowRoot.getElementById(location.hash.slice(1))?.scrollIntoView();
    } catch {
      this.note.replaceChildren(this.words[16], " ", make("button", { type: "button", textContent: this.words[17], onclick: () => this.load() }));
    }
  }

  show(comment) {
    const at = new Date(comment.approved_at ?? comment.created_at);
    const name = make("b", {}, make("bdi", { textContent: comment.author.name || "–" }));
    const text = make("div", { className: "t", dir: comment.direction, lang: comment.locale, part: "text" });
    text.innerHTML = comment.html; // sanitised by the service: paragraphs, line breaks and links only
    const link = comment.author.url && make("a", { href: comment.author.url, rel: "nofollow ugc noopener" }, name);
    const time = make("time", { dateTime: at.toISOString(), textContent: new Intl.DateTimeFormat(this.lang, { dateStyle: "medium", timeStyle: "short" }).format(at) });
    const reply = this.place && make("button", { type: "button", part: "reply", textContent: this.words[2], onclick: () => this.answer(comment, item) });
    const article = make("article", { id: `comment-${comment.id}`, part: "comment" }, make("header", {}, link || name, " · ", time), text, reply);
    const item = make("li", {}, article, make("ol"));
    (this.shadowRoot.getElementById(`comment-${comment.parent}`)?.nextElementSibling ?? this.list).append(item);
  }

  build(heading) {
    const w = this.words;
    const known = JSON.parse(localStorage.getItem(MEMORY) || "{}");
    const field = (name, label, input) => {
      input.id = input.name = name;
      const error = make("p", { className: "e", id: `e-${name}`, hidden: true });
      input.setAttribute("aria-describedby", error.id);
      return make("div", {}, make("label", {}, make("span", { textContent: `${label} *` }), input), error);
    };
    this.fields = {
      comment: make("textarea", { required: true, dir: "auto", maxLength: 65525 }),
      author: make("input", { required: true, dir: "auto", autocomplete: "name", maxLength: 245, value: known.author ?? "" }),
      email: make("input", { required: true, type: "email", dir: "ltr", autocomplete: "email", maxLength: 254, value: known.email ?? "" }),
    };
    const box = (label, checked) => make("label", { className: "c" }, make("input", { type: "checkbox", checked }), make("span", { textContent: label }));
    this.remember = box(w[10], "author" in known);
    this.notify = box(w[11], false);
    this.heading = make("h3", { textContent: heading });
    this.cancel = make("button", { type: "button", hidden: true, textContent: w[5], onclick: () => this.answer() });
    this.trap = make("div", { className: "h", ariaHidden: "true" });
    this.form = make("form", { noValidate: true, part: "form", onsubmit: (event) => this.send(event) },
      this.heading, make("p", { className: "s", textContent: w[9] }), field("comment", w[8], this.fields.comment), field("author", w[6], this.fields.author),
      field("email", w[7], this.fields.email), this.trap, this.remember, this.notify, make("button", { type: "submit", textContent: w[12] }), " ", this.cancel);
    this.form.addEventListener("focusin", () => this.stamp());
    return this.form;
  }

  async stamp() {
    this.stamped ??= fetch(`${this.api}/form`).then((answer) => answer.json()).then((found) => {
      this.opened = found;
      if (found.trap_field) this.trap.append(make("input", { name: found.trap_field, tabIndex: -1, autocomplete: "off" }));
    }).catch(() => (this.stamped = null));
    return this.stamped;
  }

  answer(comment, item) {
    this.parent = comment?.id ?? "";
    this.cancel.hidden = !comment;
    this.heading.replaceChildren(...(comment ? [this.words[4] + " ", make("bdi", { textContent: comment.author.name || "–" })] : [this.words[3]]));
    (item ? item.firstChild : this.place).append(this.form);
    this.fields.comment.focus();
  }

  async send(event) {
    event.preventDefault();
    await this.stamp();
    const said = Object.fromEntries(Object.entries(this.fields).map(([name, input]) => [name, input.value]));
    const body = { ...said, thread: this.thread, thread_url: this.getAttribute("thread-url") || location.href.split("#")[0], thread_title: this.getAttribute("thread-title") || document.title,
      locale: this.lang, parent: this.parent || "", notify_replies: this.notify.firstChild.checked, ...(this.opened && { form_stamp: this.opened.form_stamp }), ...(this.trap.firstChild?.value && { [this.trap.firstChild.name]: this.trap.firstChild.value }) };
    this.key ??= crypto.randomUUID?.() ?? String(Math.random());
    const button = this.form.querySelector("[type=submit]");
    button.disabled = true;
    let answer, told;
    try {
      answer = await fetch(`${this.api}/comments`, { method: "POST", headers: { "content-type": "application/json", "idempotency-key": this.key }, body: JSON.stringify(body), credentials: "include" });
      told = await answer.json();
    } catch {
      told = { detail: this.words[16] };
    }
    button.disabled = false;
    this.tell(answer, told, said);
  }

  tell(answer, told, said) {
    this.form.querySelector(".n")?.remove();
    for (const [name, input] of Object.entries(this.fields)) {
      const error = told.errors?.find((one) => one.field === name);
      input.setAttribute("aria-invalid", !!error);
      Object.assign(this.form.querySelector(`#e-${name}`), { hidden: !error, textContent: error?.message ?? "" });
    }
    if (answer?.ok || answer?.status !== 503) this.key = null;
    if (!answer?.ok) {
      const invalid = this.form.querySelector("[aria-invalid=true]");
      if (!invalid) this.form.prepend(make("p", { className: "n e", role: "alert", textContent: told.errors?.[0]?.message ?? told.detail }));
      invalid?.focus();
      return;
    }
    const { author, email } = said;
    this.remember.firstChild.checked ? localStorage.setItem(MEMORY, JSON.stringify({ author, email })) : localStorage.removeItem(MEMORY);
    this.fields.comment.value = "";
    this.answer();
    const published = told.status === "approved";
    this.form.prepend(make("p", { className: "n", role: "status", part: "thanks", textContent: this.words[published ? 14 : 13] }));
    if (published) this.list.replaceChildren(), (this.cursor = null), this.load();
    this.dispatchEvent(new CustomEvent("comment-sent", { bubbles: true, composed: true, detail: { id: told.id, status: told.status } }));
  }
}

class CommentCount extends HTMLElement {
  async connectedCallback() {
    const thread = this.getAttribute("thread") || location.pathname;
    const site = encodeURIComponent(this.getAttribute("site"));
    const answer = await fetch(`${this.getAttribute("base") || BASE}/api/v1/sites/${site}/counts?thread=${encodeURIComponent(thread)}`).catch(() => null);
    if (answer?.ok) this.textContent = new Intl.NumberFormat(this.closest("[lang]")?.lang || undefined).format((await answer.json()).counts[thread]);
  }
}

customElements.get("comment-thread") || customElements.define("comment-thread", CommentThread);
customElements.get("comment-count") || customElements.define("comment-count", CommentCount);
}
