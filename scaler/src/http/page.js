(() => {
  const every = 5000, patience = 15, charts = 60000;
  const main = document.querySelector("main"), lost = document.getElementById("lost");
  // fetch refuses an address with a password in it, which a page may have been opened with.
  const here = new URL(location.href);
  here.username = here.password = "";
  let heard = Date.now(), drawn = heard, failure = "", asking = false;

  const now = () => Number(main.dataset.now) * 1000 + Date.now() - heard;
  const span = (s) => {
    const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
    if (d) return `${d} d ${h} h`;
    if (h) return `${h} h ${m} min`;
    return m ? `${m} min ${s % 60} s` : `${s} s`;
  };
  const say = (it, text) => {
    if (!it.firstChild) it.textContent = text;
    else if (it.firstChild.nodeValue !== text) it.firstChild.nodeValue = text;
  };
  const count = () => {
    for (const it of main.querySelectorAll("time[data-rel]")) {
      const s = Math.round((Date.parse(it.dateTime) - now()) / 1000);
      say(it, s > 0 ? `in ${span(s)}` : it.dataset.rel === "until" ? "now" : `${span(-s)} ago`);
    }
    const silent = Math.round((Date.now() - heard) / 1000);
    const gone = failure && silent >= patience;
    if (gone) say(lost.firstElementChild, `⚠ ${failure} for ${span(silent)}: all of this is old.`);
    lost.hidden = !gone;
    main.classList.toggle("old", Boolean(gone));
  };

  // Changes one tree into another and keeps equal parts, so that reading, selecting, scrolling and pointing go on undisturbed.
  const key = (it) => (it.dataset ? it.dataset.key || it.id : "");
  const alike = (a, b) =>
    a.nodeName === b.nodeName && key(a) === key(b) && (Boolean(key(a)) || a.className === b.className);
  const merge = (old, next) => {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== next.nodeValue) old.nodeValue = next.nodeValue;
      return;
    }
    // Charts that were left out this time stay as they are.
    if ("keep" in next.dataset) return;
    // Details that a reader has opened stay open.
    for (const {name} of [...old.attributes]) if (name !== "open" && !next.hasAttribute(name)) old.removeAttribute(name);
    for (const {name, value} of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const stays = new Set([...next.children].map(key));
    for (const it of [...old.children]) if (key(it) && !stays.has(key(it))) it.remove();
    let at = old.firstChild;
    for (const child of [...next.childNodes]) {
      let found = at;
      while (found && !alike(found, child)) found = found.nextSibling;
      if (!found) {
        old.insertBefore(child, at);
        continue;
      }
      if (key(found) && found !== at) old.insertBefore(found, at);
      else while (at !== found) [at] = [at.nextSibling, at.remove()];
      merge(found, child);
      at = found.nextSibling;
    }
    while (at) [at] = [at.nextSibling, at.remove()];
  };

  const renew = async (event) => {
    if (document.hidden || asking) return;
    asking = true;
    const draws = event || Date.now() - drawn >= charts;
    const address = new URL(here);
    if (!draws) address.searchParams.set("charts", "off");
    try {
      const answer = await fetch(address, {cache: "no-store", signal: AbortSignal.timeout(4000)});
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const next = page.querySelector("main[data-now]");
      if (next) {
        [failure, heard, document.title] = ["", Date.now(), page.title];
        if (draws) drawn = heard;
        merge(main, next);
      } else failure = `The scaler's address answers with HTTP ${answer.status}, and not with this page,`;
    } catch {
      failure = "No answer from the scaler";
    }
    asking = false;
    count();
  };
  setInterval(count, 1000);
  setInterval(() => renew(), every);
  document.addEventListener("visibilitychange", renew);
})();
