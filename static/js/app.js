// Improvements for browsers with JavaScript. Every page works without it.
"use strict";

(() => {
  const UNITS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];

  function ago(seconds) {
    const size = Math.abs(seconds);
    if (size < 10) return "just now";
    const [, divisor, unit] = UNITS.find(([limit]) => size < limit);
    return seconds >= 0 ? `${Math.floor(size / divisor)} ${unit} ago` : `in ${ahead(size)}`;
  }

  // People wait for the future, so it is given in two units, as the server gives it.
  function ahead(seconds) {
    const minutes = Math.floor(seconds / 60);
    if (minutes < 1) return "less than a minute";
    const [days, hours] = minutes >= 2880 ? [Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60)] : [0, Math.floor(minutes / 60)];
    const parts = [[days, "d"], [hours, "h"], [days ? 0 : minutes % 60, "min"]];
    return parts.filter(([number]) => number).map(([number, unit]) => `${number} ${unit}`).join(" ");
  }

  // Show times relative to now, with the exact time in the viewer's zone as a tooltip.
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

  // Name the file that was dropped or chosen.
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
      // A file dropped outside the zone must not replace the page.
      else if (name === "dragover" || name === "drop") event.preventDefault();
    });
  }

  // Upload progress in bytes sent, then in steps of the server.
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

  // Invalid forms are answered with 422 and shown in place; other failures bring a message for #messages.
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

  // Focus the first invalid field of a form that was sent back.
  function focusProblem(root) {
    root.querySelector("[aria-invalid=true]")?.focus({ preventScroll: false });
  }

  // Confirmations open in a dialog. Their forms are ordinary forms.
  const dialog = document.getElementById("dialog");
  document.addEventListener("htmx:afterSwap", (event) => {
    showTimes(document);
    focusProblem(event.target.parentElement ?? document);
    // Announce only changes: the fragment itself is replaced every second.
    const announcement = document.getElementById("announcement");
    const news = document.querySelector("[data-announce]")?.dataset.announce;
    if (announcement && news && announcement.textContent !== news) announcement.textContent = news;
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

  // Rollout forms: a slider next to the number, which shows the first step of a chosen plan, and a button
  // that names what it does.
  function reachOf(form) {
    const plan = form.elements.plan?.value ?? "";
    return plan.includes("-") ? 10000 : Math.round(100 * Number(form.elements.rollout.value));
  }
  function nameAct(form) {
    const button = form.querySelector("[data-act]");
    const reach = reachOf(form);
    const asks = form.dataset.approvalAbove && reach > Number(form.dataset.approvalAbove) && reach > Number(form.dataset.present ?? -1);
    (button.querySelector("span") ?? button).textContent = asks ? "Ask for approval" : button.dataset.act;
  }
  function showSliders(root) {
    for (const slider of root.querySelectorAll("[data-slides]")) slider.hidden = false;
    for (const form of root.querySelectorAll("form[data-approval-above]")) nameAct(form);
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
    nameAct(form);
  });
  document.addEventListener("htmx:afterSwap", () => showSliders(document));
  showSliders(document);

  showTimes(document);
  focusProblem(document);
  setInterval(() => showTimes(document), 20000);
})();
