// What the pages add when JavaScript is there. Every one of them works without.
"use strict";

(() => {
  const UNITS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];

  function ago(seconds) {
    const size = Math.abs(seconds);
    if (size < 10) return "just now";
    const [, divisor, unit] = UNITS.find(([limit]) => size < limit);
    return seconds >= 0 ? `${Math.floor(size / divisor)} ${unit} ago` : `in ${ahead(size)}`;
  }

  // What lies ahead is waited for, so it is said in two units, as the server does.
  function ahead(seconds) {
    const minutes = Math.floor(seconds / 60);
    if (minutes < 1) return "less than a minute";
    const [days, hours] = minutes >= 2880 ? [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)] : [0, Math.floor(minutes / 60)];
    const parts = [[days, "d"], [hours, "h"], [days ? 0 : minutes % 60, "min"]];
    return parts.filter(([number]) => number).map(([number, unit]) => `${number} ${unit}`).join(" ");
  }

  // Times: relative, with the exact moment in the viewer's zone on hover.
  function showTimes(root) {
    for (const element of root.querySelectorAll("time[datetime]")) {
      const when = new Date(element.dateTime);
      element.textContent = ago((Date.now() - when.getTime()) / 1000);
      element.title = when.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
    }
  }

  function size(bytes) {
    const units = ["B", "kB", "MB", "GB"];
    let value = bytes;
    let index = 0;
    while (value >= 1000 && index < units.length - 1) { value /= 1000; index += 1; }
    return `${index ? value.toFixed(1) : value} ${units[index]}`;
  }

  // Dropping a file: say which one was taken.
  function showFile(input) {
    const label = input.closest(".drop")?.querySelector("[data-file-name]");
    const file = input.files[0];
    if (label && file) label.textContent = `${file.name} (${size(file.size)})`;
  }

  document.addEventListener("change", (event) => {
    if (!event.target.matches(".drop input[type=file]")) return;
    showFile(event.target);
  });
  for (const [name, isOver] of [["dragenter", true], ["dragover", true], ["dragleave", false], ["drop", false]]) {
    document.addEventListener(name, (event) => {
      const zone = event.target instanceof Element ? event.target.closest(".drop") : null;
      if (zone) zone.classList.toggle("is-over", isOver);
      // A file dropped beside the zone must not replace the page.
      else if (name === "dragover" || name === "drop") event.preventDefault();
    });
  }

  // Upload progress: real bytes, then what the server does with them.
  function progressOf(form) {
    const box = form.querySelector(".progress");
    return box && { box, bar: box.querySelector("progress"), text: box.querySelector("p") };
  }

  document.addEventListener("htmx:beforeRequest", (event) => {
    const progress = event.target.matches?.("form[data-upload]") && progressOf(event.target);
    if (!progress) return;
    progress.box.hidden = false;
    progress.text.textContent = "Sending...";
    for (const button of event.target.querySelectorAll("button")) button.disabled = true;
  });
  document.addEventListener("htmx:xhr:progress", (event) => {
    const progress = event.target.matches?.("form[data-upload]") && progressOf(event.target);
    if (!progress || !event.detail.lengthComputable) return;
    const { loaded, total } = event.detail;
    progress.bar.max = total;
    progress.bar.value = loaded;
    progress.text.textContent = loaded < total
      ? `Sending: ${size(loaded)} of ${size(total)} (${Math.floor((100 * loaded) / total)} %)`
      : "Sent. Waiting for the server to keep it safe...";
  });
  for (const name of ["htmx:afterRequest", "htmx:sendError", "htmx:sendAbort"]) {
    document.addEventListener(name, (event) => {
      if (!event.target.matches?.("form[data-upload]")) return;
      for (const button of event.target.querySelectorAll("button")) button.disabled = false;
      const progress = progressOf(event.target);
      if (progress && name === "htmx:afterRequest" && event.detail.failed) progress.box.hidden = true;
      if (progress && name !== "htmx:afterRequest") progress.text.textContent = "The connection broke. Nothing was kept; send it again.";
    });
  }

  // An invalid form comes back with 422 and is shown in place; other failures bring a sentence for #messages.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status >= 400 && xhr.getResponseHeader("Content-Type")?.startsWith("text/html")) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset?.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
  document.addEventListener("htmx:sendError", (event) => {
    const messages = document.getElementById("messages");
    if (!messages || event.target.matches?.("form[data-upload]")) return;
    const notice = document.createElement("div");
    notice.className = "notice notice-bad";
    notice.textContent = "The server can not be reached. Nothing was changed; try again in a moment.";
    messages.replaceChildren(notice);
  });

  // After a form came back: the eye and the keyboard go to what is wrong.
  function focusProblem(root) {
    root.querySelector("[aria-invalid=true]")?.focus({ preventScroll: false });
  }

  // Confirmations open as a dialog; their forms are ordinary forms.
  const dialog = document.getElementById("dialog");
  document.addEventListener("htmx:afterSwap", (event) => {
    showTimes(document);
    focusProblem(event.target.parentElement ?? document);
    // Said only when it changes: the fragment itself is replaced every second.
    const said = document.getElementById("announcement");
    const news = document.querySelector("[data-announce]")?.dataset.announce;
    if (said && news && said.textContent !== news) said.textContent = news;
    if (dialog && event.target === dialog && !dialog.open) dialog.showModal();
  });
  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-close]");
    if (closer && dialog?.open) { event.preventDefault(); dialog.close(); }
    if (event.target === dialog) dialog.close();

    const copier = event.target.closest("[data-copy]");
    if (copier) {
      navigator.clipboard?.writeText(copier.dataset.copy).then(() => {
        const label = copier.querySelector("span");
        const before = label.textContent;
        label.textContent = "Copied";
        setTimeout(() => { label.textContent = before; }, 1500);
      });
    }

    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, form, summary") && !getSelection().toString()) {
      if (event.ctrlKey || event.metaKey) window.open(row.dataset.href);
      else location.assign(row.dataset.href);
    }
    for (const open of document.querySelectorAll("details.closes[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") for (const open of document.querySelectorAll("details.closes[open]")) open.open = false;
    const isTyping = event.target.closest?.("input, textarea, select");
    if (event.key === "/" && !isTyping) {
      const search = document.querySelector(".search input");
      if (search) { event.preventDefault(); search.focus(); }
    }
  });
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = !navigator.clipboard;

  // Rollouts: a slider beside the number, the first step of a chosen plan in its place, and a button that says what it will do.
  function reachOf(form) {
    const plan = form.elements.plan?.value ?? "";
    return plan.includes("-") ? 10000 : Math.round(100 * Number(form.elements.rollout.value));
  }
  function sayAct(form) {
    const button = form.querySelector("[data-act]");
    const reach = reachOf(form);
    const asks = form.dataset.approvalAbove && reach > Number(form.dataset.approvalAbove) && reach > Number(form.dataset.present ?? -1);
    (button.querySelector("span") ?? button).textContent = asks ? "Ask for approval" : button.dataset.act;
  }
  function showSlides(root) {
    for (const slider of root.querySelectorAll("[data-slides]")) slider.hidden = false;
    for (const form of root.querySelectorAll("form[data-approval-above]")) sayAct(form);
  }
  document.addEventListener("input", (event) => {
    const form = event.target.form;
    if (!form?.matches("form[data-approval-above]")) return;
    if (event.target.dataset.slides) form.elements.rollout.value = event.target.value;
    else if (event.target.name === "rollout") for (const slider of form.querySelectorAll("[data-slides]")) slider.value = event.target.value;
    else if (event.target.name === "plan") {
      const isPlan = event.target.value.includes("-");
      if (isPlan || form.elements.rollout.readOnly) form.elements.rollout.value = isPlan ? event.target.value.split("-")[0] : "100";
      form.elements.rollout.readOnly = isPlan;
    }
    sayAct(form);
  });
  document.addEventListener("htmx:afterSwap", () => showSlides(document));
  showSlides(document);

  showTimes(document);
  focusProblem(document);
  setInterval(() => showTimes(document), 20000);
})();
