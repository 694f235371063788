// The desk with JavaScript: keys, the live queue, and pages that change in place. Everything works without it.
(() => {
  "use strict";
  const desk = () => document.getElementById("desk");
  const said = (name, values = {}) => (desk().dataset[name] || "").replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
  const cards = () => [...desk().querySelectorAll("article[data-id]")];
  const card = (id) => desk().querySelector(`article[data-id="${CSS.escape(id)}"]`);
  const current = () => document.activeElement?.closest("article[data-id]");
  let place = -1, searched = false; // where they were in the list
  let busy = false; // a press is on its way: keys wait for what comes of it
  const waiting = [];
  const typing = "input:not([type=checkbox]), select, textarea, dialog[open]"; // there keys are no commands

  // keys, by their place on the keyboard
  const go = (step) => {
    const all = cards(), at = current() ? all.indexOf(current()) : place;
    const next = all[Math.max(0, Math.min(all.length - 1, at + step))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  const press = (selector) => (current() || cards()[Math.max(0, place)])?.querySelector(selector)?.click();
  const acts = {
    next: () => go(1),
    previous: () => go(-1),
    approve: () => press("[name=decision][value=approve]"),
    reject: () => press("[name=decision][value=reject]"),
    spam: () => press("[name=decision][value=spam]"),
    hold: () => press("[name=decision][value=hold]"),
    open: () => press("a.open"),
    choose: () => press("input[type=checkbox]"),
    take: () => press("button.take"),
    undo: () => document.querySelector("form#undo button")?.click(),
    search: () => document.getElementById("q")?.focus(),
    help: () => document.getElementById("keys")?.showModal(),
  };
  const work = () => {
    while (!busy && waiting.length) {
      acts[waiting.shift()]();
      if (document.activeElement?.closest(typing)) waiting.length = 0; // what was pressed after was meant for there
    }
  };
  document.addEventListener("keydown", (event) => {
    if (event.target.closest(typing) || event.ctrlKey || event.altKey || event.metaKey || event.repeat || !desk()?.dataset.keys) return;
    const code = (event.shiftKey ? "Shift+" : "") + event.code;
    const act = Object.entries(JSON.parse(desk().dataset.keys)).find(([, key]) => key === code)?.[0];
    if (!act) return;
    event.preventDefault();
    waiting.push(act);
    work();
  });

  // what came of a press: said to screen readers too, and not again when the page is loaded anew
  const settle = () => {
    const notice = document.getElementById("notice"), say = document.getElementById("say");
    if (say && notice) say.textContent = notice.querySelector("p")?.textContent || "";
    const url = new URL(location.href);
    if (url.searchParams.has("done")) {
      for (const name of ["done", "batch", "n", "late", "about"]) url.searchParams.delete(name);
      history.replaceState(history.state, "", url);
    }
    const undo = document.querySelector("form#undo");
    if (undo) setTimeout(() => undo.isConnected && undo.remove(), undo.dataset.seconds * 1000);
    document.querySelectorAll("[data-needs-script]").forEach((one) => one.removeAttribute("hidden"));
    document.querySelector("form[data-goes-on]")?.requestSubmit();
    chosen();
  };
  document.addEventListener("htmx:before:request", () => {
    const all = cards(), at = all.indexOf(current());
    if (at >= 0) place = at;
    busy = true;
  });
  document.addEventListener("htmx:finally:request", () => {
    busy = false;
    setTimeout(work);
  });
  document.addEventListener("htmx:after:swap", () => {
    if (!desk()) return;
    const all = cards();
    if (all.length && (searched || document.activeElement === document.body)) all[searched ? 0 : Math.max(0, Math.min(place, all.length - 1))].focus({ preventScroll: true });
    searched = false;
    settle();
  });
  document.addEventListener("htmx:before:response", (event) => {
    const url = new URL(event.detail.ctx.response.raw.url); // signed out meanwhile: to the door, as a page of its own
    if (url.pathname !== "/review/sign-in") return;
    event.preventDefault();
    location.assign(url);
  });
  document.addEventListener("htmx:error", () => document.getElementById("trouble")?.removeAttribute("hidden"));

  document.addEventListener("submit", (event) => {
    searched = event.target.matches("[role=search]");
    if (searched) document.activeElement.blur(); // keys are commands again, for what was found
  });

  // many at once
  const chosen = () => {
    const boxes = [...document.querySelectorAll("input[form=many][type=checkbox]")].filter((box) => box.checked);
    const many = document.getElementById("many-at-once"), count = document.getElementById("chosen");
    if (!many || !count) return;
    if (boxes.length) many.open = true;
    count.textContent = boxes.length ? said("chosen", { count: boxes.length.toLocaleString(document.documentElement.lang) }) : "";
  };
  document.addEventListener("change", (event) => {
    if (event.target.id === "choose-all") {
      document.querySelectorAll("article input[form=many]").forEach((box) => (box.checked = event.target.checked));
    }
    chosen();
  });
  document.addEventListener("click", (event) => {
    const dialog = event.target.closest("[data-opens]");
    if (dialog) document.getElementById(dialog.dataset.opens)?.showModal();
  });

  // live: what others do is shown where it is; what is new is announced, and the list stays where it is
  const me = () => desk().dataset.me;
  const line = (id, text) => {
    const place = card(id)?.querySelector(".live");
    if (place) place.textContent = text;
  };
  let fresh = 0;
  const listen = () => {
    const live = new EventSource(`/api/v1/queue/stream?after=${desk().dataset.live}`); // from what the page shows
    const on = (name, act) => live.addEventListener(name, (event) => act(JSON.parse(event.data)));
    on("comment.pending", (one) => {
      const notice = document.getElementById("new");
      if (!notice || card(one.id)) return;
      fresh += 1;
      notice.hidden = false;
      notice.querySelector("[data-count]").textContent = fresh.toLocaleString(document.documentElement.lang);
    });
    on("comment.decided", (one) => {
      if (one.by === me() || !card(one.id)) return;
      card(one.id).classList.add("decided");
      line(one.id, said("decided", { who: one.by }));
    });
    on("comment.claimed", (one) => line(one.id, one.by === me() ? said("mine") : said("held", { who: one.by })));
    on("comment.released", (one) => card(one.id)?.classList.contains("decided") || line(one.id, ""));
    addEventListener("pagehide", () => live.close());
  };
  if (desk()?.dataset.live) listen();
  document.querySelector(".top nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  settle();
})();
