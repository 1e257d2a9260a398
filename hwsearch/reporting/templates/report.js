"use strict";
for (const figure of document.querySelectorAll("figure.front")) {
  const readout = figure.querySelector(".readout");
  let last = null;
  readout.hidden = figure.querySelector(".hint").hidden = false;
  const [wide, narrow] = [".wide .pt", ".narrow .pt"].map((which) => [...figure.querySelectorAll(which)]);
  const words = (point) => (wide[narrow.indexOf(point)] || point).querySelector("title").textContent;
  const show = (point) => {
    if (last) last.classList.remove("on");
    last = point;
    point.classList.add("on");
    readout.classList.add("filled");
    readout.textContent = words(point);
  };
  for (const kind of ["pointerover", "focusin", "click"])
    figure.addEventListener(kind, (event) => {
      const point = event.target.closest(".pt");
      if (point) show(point);
    });
  const visible = [...figure.querySelectorAll("g.pt[tabindex]")].filter((g) => g.getClientRects().length);
  const first = visible.find((g) => g.classList.contains("picked")) || visible[0];
  if (first) show(first);
  else readout.hidden = true;
  figure.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    const point = event.target.closest("g.pt[tabindex]");
    if (!step || !point) return;
    event.preventDefault();
    const points = [...point.parentNode.querySelectorAll("g.pt[tabindex]")];
    const next = points[points.indexOf(point) + step];
    if (next) next.focus();
  });
}
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
if (matchMedia("screen and (max-width: 640px)").matches)
  for (const details of document.querySelectorAll("details.points")) details.open = false;
