// loaded as a module there is no current script: each element needs a base then
const BASE = (document.currentScript?.src ?? "").replace(/\/\w+\.js([?#].*)?$/, "");
const api = (element) => `${element.getAttribute("base") || BASE}/api/v1/sites/${encodeURIComponent(element.getAttribute("site"))}`;
const threadOf = (element) => element.getAttribute("thread") || location.pathname;
const language = (element) => {
  const named = element.closest("[lang]")?.lang || document.documentElement.lang || navigator.language;
  return /^[a-z]{2,3}(-[a-z\d]{2,8})*$/i.test(named) ? named : "en";
};
