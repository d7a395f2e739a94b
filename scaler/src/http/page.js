(() => {
  const every = 5000;
  let main = document.querySelector("main"), lost = document.getElementById("lost"), heard = Date.now();
  const now = () => Number(main.dataset.now) * 1000 + Date.now() - heard;
  const span = (s) => {
    const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
    if (d) return `${d} d ${h} h`;
    if (h) return `${h} h ${m} min`;
    return m ? `${m} min ${s % 60} s` : `${s} s`;
  };
  const count = () => {
    for (const it of main.querySelectorAll("time[data-rel]")) {
      const s = Math.round((Date.parse(it.dateTime) - now()) / 1000);
      it.textContent = s > 0 ? `in ${span(s)}` : it.dataset.rel === "until" ? "now" : `${span(-s)} ago`;
    }
    const silent = Math.round((Date.now() - heard) / 1000);
    lost.hidden = silent < 15;
    if (!lost.hidden) lost.firstElementChild.textContent = `No answer from the scaler for ${span(silent)}: all of this is old.`;
  };
  const renew = async () => {
    // What is being read stays.
    if (document.hidden || main.querySelector(".strip li:hover") || String(getSelection())) return;
    try {
      const answer = await fetch(location.href, {cache: "no-store", signal: AbortSignal.timeout(4000)});
      if (!answer.ok && answer.status !== 404) return;
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
      if (!next) return;
      for (const open of main.querySelectorAll("details[open]")) next.querySelector(`#${CSS.escape(open.id)}`)?.setAttribute("open", "");
      const focus = document.activeElement?.id;
      main.replaceWith(next);
      main = next;
      heard = Date.now();
      if (focus) document.getElementById(focus)?.focus({preventScroll: true});
      count();
    } catch { /* It is told once it lasts. */ }
  };
  setInterval(count, 1000);
  setInterval(renew, every);
  document.addEventListener("visibilitychange", renew);
})();
