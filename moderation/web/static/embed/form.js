const FORM_WORDS = {
  en: ["Reply", "Leave a comment", "Cancel", "Name", "E-mail", "Comment", "Your e-mail address will not be published. Required fields are marked *", "Remember me in this browser", "Tell me of replies by mail", "Post comment", "Thank you. Your comment waits for review.", "Thank you. Your comment is published.", "See what became of it", "(keep this private link)"],
  ar: ["ردّ", "اترك تعليقاً", "إلغاء", "الاسم", "البريد الإلكتروني", "التعليق", "لن يتم نشر عنوان بريدك الإلكتروني. الحقول الإلزامية مشار إليها بـ *", "تذكّرني في هذا المتصفح", "أعلموني بالردود عبر البريد", "إرسال التعليق", "شكراً لك. تعليقك بانتظار المراجعة.", "شكراً لك. نُشر تعليقك.", "متابعة حالة تعليقك", "(يُرجى الاحتفاظ بهذا الرابط الخاص)"],
  fr: ["Répondre", "Laisser un commentaire", "Annuler", "Nom", "E-mail", "Commentaire", "Votre adresse e-mail ne sera pas publiée. Les champs obligatoires sont indiqués avec *", "Se souvenir de moi dans ce navigateur", "M’avertir des réponses par e-mail", "Publier le commentaire", "Merci. Votre commentaire attend d’être relu.", "Merci. Votre commentaire est publié.", "Suivre votre commentaire", "(conservez ce lien privé)"],
  de: ["Antworten", "Kommentar schreiben", "Abbrechen", "Name", "E-Mail", "Kommentar", "Ihre E-Mail-Adresse wird nicht veröffentlicht. Pflichtfelder sind mit * markiert", "In diesem Browser merken", "Antworten per E-Mail melden", "Kommentar absenden", "Danke. Ihr Kommentar wartet auf Prüfung.", "Danke. Ihr Kommentar ist veröffentlicht.", "Nachsehen, was daraus geworden ist", "(bewahren Sie diesen privaten Link auf)"],
  es: ["Responder", "Deja un comentario", "Cancelar", "Nombre", "Correo electrónico", "Comentario", "Tu correo electrónico no será publicado. Los campos obligatorios están marcados con *", "Recordarme en este navegador", "Avisarme de las respuestas por correo", "Publicar el comentario", "Gracias. Tu comentario espera revisión.", "Gracias. Tu comentario está publicado.", "Ver el estado de su comentario", "(guarde este enlace privado)"],
  fa: ["پاسخ", "دیدگاه خود را بنویسید", "انصراف", "نام", "ایمیل", "دیدگاه", "نشانی ایمیل شما منتشر نخواهد شد. بخش‌های موردنیاز با * مشخص شده‌اند", "مرا در این مرورگر به یاد بسپار", "پاسخ‌ها را با ایمیل خبر بده", "فرستادن دیدگاه", "سپاس. دیدگاه شما در انتظار بررسی است.", "سپاس. دیدگاه شما منتشر شد.", "پیگیری سرانجام دیدگاه", "(این پیوند خصوصی را نگه دارید)"],
  he: ["להשיב", "כתיבת תגובה", "ביטול", "שם", "אימייל", "תגובה", "האימייל לא יוצג באתר. שדות החובה מסומנים *", "לזכור אותי בדפדפן הזה", "להודיע לי על תשובות באימייל", "שליחת התגובה", "תודה. תגובתך ממתינה לאישור.", "תודה. תגובתך פורסמה.", "מה עלה בגורלה", "(כדאי לשמור את הקישור הפרטי הזה)"],
  tr: ["Yanıtla", "Yorum yap", "Vazgeç", "Ad", "E-posta", "Yorum", "E-posta adresiniz yayımlanmayacak. Gerekli alanlar * ile işaretlenmiştir", "Beni bu tarayıcıda hatırla", "Yanıtları e-postayla bildir", "Yorumu gönder", "Teşekkürler. Yorumunuz incelenmeyi bekliyor.", "Teşekkürler. Yorumunuz yayımlandı.", "Yorumunuzun durumuna bakın", "(bu özel bağlantıyı saklayın)"],
};
const MEMORY = "comment-thread";
// a browser may forbid it
const memory = {
  read() {
    try {
      return JSON.parse(localStorage.getItem(MEMORY)) ?? {};
    } catch {
      return {};
    }
  },
  keep(said) {
    try {
      said ? localStorage.setItem(MEMORY, JSON.stringify(said)) : localStorage.removeItem(MEMORY);
    } catch {}
  },
};
Form = class {
  static sheet = new CSSStyleSheet();

  constructor(thread) {
    this.thread = thread;
    const w = (this.words = FORM_WORDS[thread.lang.slice(0, 2)] ?? FORM_WORDS.en);
    const known = memory.read();
    this.fields = {
      comment: make("textarea", { required: true, dir: "auto", maxLength: 65525 }),
      author: make("input", { required: true, dir: "auto", autocomplete: "name", maxLength: 245, value: known.author ?? "" }),
      email: make("input", { required: true, type: "email", dir: "ltr", autocomplete: "email", maxLength: 254, value: known.email ?? "" }),
    };
    const field = (name, label) => {
      const input = this.fields[name];
      input.id = input.name = name;
      input.setAttribute("aria-describedby", `e-${name}`);
      return make("div", {}, make("label", {}, make("span", { textContent: `${label} *` }), input), make("p", { className: "e", id: `e-${name}`, hidden: true }));
    };
    const box = (label, more) => make("label", { className: "c" }, make("input", { type: "checkbox", ...more }), make("span", { textContent: label }));
    this.remember = box(w[7], { checked: "author" in known, onchange: (event) => event.target.checked || memory.keep() });
    this.notify = box(w[8]);
    this.heading = make("h2", { textContent: w[1], id: "write" });
    this.cancel = make("button", { type: "button", hidden: true, part: "button", textContent: w[2], onclick: () => this.close(true) });
    this.trap = make("div", { className: "away", ariaHidden: "true" });
    this.trouble = make("div", { role: "alert" });
    this.thanks = make("div", { className: "n", role: "status", part: "thanks", tabIndex: -1, hidden: true });
    this.node = make("form", { noValidate: true, part: "form", "aria-labelledby": "write", onsubmit: (event) => this.send(event), oninput: () => (this.key = null) },
      this.heading, make("p", { className: "s", textContent: w[6] }), this.trouble, field("comment", w[5]), make("div", { className: "pair" }, field("author", w[3]), field("email", w[4])),
      this.trap, this.remember, this.notify, make("p", {}, make("button", { type: "submit", part: "submit", textContent: w[9] }), " ", this.cancel));
    this.node.addEventListener("focusin", () => this.open());
    thread.shadowRoot.append((this.home = make("div", {}, this.thanks, this.node)));
  }

  opener(comment) {
    const button = make("button", { type: "button", className: "q", part: "reply", textContent: this.words[0], "aria-describedby": `by-${comment.id}` });
    button.onclick = () => {
      this.answering = comment;
      this.opened = button;
      this.cancel.hidden = false;
      this.heading.replaceChildren(this.thread.words[2] + " ", isolated(comment));
      button.after(this.node);
      this.fields.comment.focus();
    };
    return button;
  }

  close(back) {
    this.answering = null;
    this.cancel.hidden = true;
    this.heading.textContent = this.words[1];
    this.home.append(this.node);
    if (back) this.opened?.focus();
  }

  // the stamp says when writing began; sites may ask for it
  open() {
    return (this.asked ??= fetch(`${api(this.thread)}/form`).then((answer) => answer.json()).then((found) => {
      this.stamp = found.form_stamp;
      if (found.trap_field) this.trap.append(make("input", { name: found.trap_field, tabIndex: -1, autocomplete: "off" }));
    }).catch(() => (this.asked = null)));
  }

  async send(event) {
    event.preventDefault();
    if (this.sending) return;
    this.sending = true;
    await this.open();
    const { thread } = this;
    const said = Object.fromEntries(Object.entries(this.fields).map(([name, input]) => [name, input.value]));
    const trap = this.trap.firstChild;
    const body = { ...said, thread: threadOf(thread), thread_url: thread.getAttribute("thread-url") || location.href.split("#")[0], thread_title: thread.getAttribute("thread-title") || document.title,
      locale: thread.lang, parent: this.answering?.id ?? "", notify_replies: this.notify.firstChild.checked, ...(this.stamp && { form_stamp: this.stamp }), ...(trap?.value && { [trap.name]: trap.value }) };
    this.key ??= crypto.randomUUID?.() ?? String(Math.random());
    let answer, told;
    try {
      answer = await fetch(`${api(thread)}/comments`, { method: "POST", headers: { "content-type": "application/json", "idempotency-key": this.key }, body: JSON.stringify(body), credentials: "include" });
      told = await answer.json();
    } catch {
      told = { detail: thread.words[4] };
    }
    this.sending = false;
    this.tell(answer, told, said);
  }

  tell(answer, told, { author, email }) {
    this.trouble.replaceChildren();
    this.thanks.hidden = true;
    for (const [name, input] of Object.entries(this.fields)) {
      const error = told.errors?.find((one) => one.field === name);
      input.setAttribute("aria-invalid", !!error);
      Object.assign(this.node.querySelector(`#e-${name}`), { hidden: !error, textContent: error?.message ?? "" });
    }
    if (!answer?.ok) {
      const invalid = this.node.querySelector("[aria-invalid=true]");
      if (!invalid) this.trouble.append(make("p", { className: "n e", textContent: told.errors?.[0]?.message ?? told.detail }));
      invalid?.focus();
      return;
    }
    const w = this.words;
    const published = told.status === "approved";
    this.key = this.asked = null;
    this.trap.replaceChildren();
    memory.keep(this.remember.firstChild.checked && { author, email });
    this.fields.comment.value = "";
    (published ? this.home : this.node.parentNode).insertBefore(this.thanks, published ? this.home.firstChild : this.node);
    this.close();
    this.thanks.replaceChildren(make("p", { textContent: w[published ? 11 : 10] }), make("p", { className: "s" }, make("a", { href: told.status_url, target: "_blank", rel: "noopener", textContent: w[12] }), ` ${w[13]}`));
    this.thanks.hidden = false;
    this.thanks.focus();
    if (published) this.thread.restart(`comment-${told.id}`);
    this.thread.dispatchEvent(new CustomEvent("comment-sent", { bubbles: true, composed: true, detail: { id: told.id, status: told.status } }));
  }
};
Form.sheet.replaceSync(`
form{margin-block-start:.5rem}article form{padding-block-end:1rem}article form h2{font-size:1.1em;margin-block:.75em .25em}
label{display:block;margin-block:.85rem 0}label>span{display:block;font-weight:600;margin-block-end:.2rem}label.c{display:flex;gap:.6rem;align-items:center}label.c>span{font-weight:400;margin:0}label.c input{flex:none;inline-size:1.1rem;block-size:1.1rem;accent-color:var(--a)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,14rem),1fr));gap:0 1rem}
input:not([type=checkbox]),textarea{inline-size:100%;font:inherit;color:inherit;background:var(--p);border:1px solid var(--s);border-radius:var(--r);padding:.55rem .7rem}
textarea{display:block;min-block-size:8rem;resize:vertical}.e{color:light-dark(#b3261e,#ff9f96);margin:.3rem 0;font-size:.92em}[aria-invalid=true]{border-color:light-dark(#b3261e,#ff9f96)!important;border-width:2px!important}
button[type=submit]{background:var(--a);color:var(--p);border-color:var(--a);font-weight:600;padding:.6rem 1.3rem}button[type=submit]:hover{filter:brightness(1.1)}
.n{border-inline-start:.3rem solid var(--a);padding:.7rem 1rem;background:var(--t);border-radius:.2rem;margin-block:1rem}.n p{margin:0}.n.e{border-color:currentColor}
.away{position:absolute;inset-inline-start:-99rem}`);
