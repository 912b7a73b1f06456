// Updates the page: changed sections are merged into the document, so that focus, selection and open details are kept. Nothing is
// computed here. While the page is hidden, the stream is closed.
"use strict";

(() => {
  const body = document.body;
  const parser = new DOMParser();
  let source = null;

  function merge(old, fresh) {
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
      old.replaceWith(fresh);
      return;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    // Remove first: the remaining elements then need not move, and keep the focus.
    const wanted = new Set([...fresh.children].map((child) => child.id));
    const kept = new Map();
    for (const child of [...old.children]) {
      if (!child.id) continue;
      if (wanted.has(child.id)) kept.set(child.id, child);
      else child.remove();
    }
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const same = child.id ? kept.get(child.id) : at;
      if (!same || (!child.id && same.id)) {
        old.insertBefore(child, at);
        continue;
      }
      if (same !== at) old.insertBefore(same, at);
      else at = at.nextSibling;
      merge(same, child);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  }

  function show(state) {
    body.classList.toggle("is-live", state === "live");
    body.classList.toggle("is-lost", state === "lost");
  }

  function receive(event) {
    show("live");
    for (const [name, markup] of Object.entries(JSON.parse(event.data))) {
      const old = document.getElementById(name);
      const fresh = parser.parseFromString(markup, "text/html").body.firstElementChild;
      if (old && fresh && !old.hasAttribute("data-still")) merge(old, document.adoptNode(fresh));
    }
  }

  function open() {
    if (source || document.hidden || !body.dataset.live) return;
    source = new EventSource(body.dataset.live);
    source.onmessage = receive;
    source.onerror = () => {
      show("lost");
      // An EventSource reconnects after a lost connection, but not after a refusal.
      if (source && source.readyState === EventSource.CLOSED) {
        source = null;
        setTimeout(open, 5000);
      }
    };
  }

  function close() {
    if (source) source.close();
    source = null;
    show("still");
  }

  // A time's title is in UTC; on hover it is the viewer's own.
  document.addEventListener("mouseover", (event) => {
    const time = event.target.closest?.("time");
    if (time) time.title = `${new Date(time.dateTime).toLocaleString()} here, ${time.dateTime}`;
  });
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
  open();
})();
