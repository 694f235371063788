// address → its elements: one question for all counters of a page, in parts that fit into an address
const waiting = new Map();
const count = () => {
  for (const [address, elements] of waiting) {
    while (elements.length) {
      const some = elements.splice(0, 20);
      const query = new URLSearchParams(some.map((element) => ["thread", threadOf(element)]));
      fetch(`${address}/counts?${query}`).then((answer) => answer.json()).then(({ counts }) => {
        for (const element of some) element.textContent = counts[threadOf(element)].toLocaleString(language(element));
      }).catch(() => {});
    }
  }
  waiting.clear();
};
customElements.get("comment-count") || customElements.define("comment-count", class extends HTMLElement {
  connectedCallback() {
    waiting.size || setTimeout(count);
    waiting.set(api(this), [...(waiting.get(api(this)) ?? []), this]);
  }
});
