// Passkeys: make one on the account page, sign in by one at the door.
(() => {
  "use strict";
  const button = document.getElementById("passkey");
  if (!button || !window.PublicKeyCredential?.parseRequestOptionsFromJSON) return;
  button.hidden = false;
  const { options, answer, token, refused } = button.dataset;
  const post = async (path, body) => {
    const reply = await fetch(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", "X-Form-Token": token || "" } });
    if (!reply.ok) throw new Error(reply.status);
    return reply.json();
  };
  button.addEventListener("click", async () => {
    const trouble = document.getElementById("passkey-trouble");
    trouble.hidden = true;
    try {
      const asked = await post(options, {});
      const made = token
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) });
      location.assign((await post(answer, made.toJSON())).location);
    } catch {
      trouble.textContent = refused;
      trouble.hidden = false;
    }
  });
})();
