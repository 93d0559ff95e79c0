// Adds a copy button to every digest and command. Without it, they can be selected as text.
"use strict";

const texts = document.currentScript.dataset;

for (const code of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = texts.copy;
  button.setAttribute("aria-label", texts.label + " " + code.textContent.slice(0, 24));
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = texts.copied;
    } catch {
      button.textContent = texts.select; // the browser refused; the text is there to be selected
    }
    setTimeout(() => { button.textContent = texts.copy; }, 1500);
  });
  code.after(button);
}
