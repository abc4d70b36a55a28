"use strict";
for (const slide of document.querySelectorAll(".slide")) {
  const frame = slide.querySelector(".frame"), range = slide.querySelector("input");
  if (!range) continue;
  const show = () => frame.style.setProperty("--cut", range.value + "%");
  const drag = (event) => {
    const box = frame.getBoundingClientRect();
    range.value = 100 * (event.clientX - box.left) / box.width;
    show();
  };
  range.addEventListener("input", show);
  frame.addEventListener("pointerdown", (event) => { frame.setPointerCapture(event.pointerId); drag(event); });
  frame.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
  show();
}

// Cells without a number come last, whichever way the others are sorted.
const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
const compared = (a, b) => {
  const [x, y] = [parseFloat(a), parseFloat(b)];
  return isNaN(x) || isNaN(y) ? a.localeCompare(b, "en", { numeric: true }) : x - y;
};

for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const missing = (row) => value(row, column) === "";
    const rows = [...body.rows].sort((a, b) =>
      missing(a) - missing(b) || (down ? -1 : 1) * compared(value(a, column), value(b, column)));
    body.append(...rows);
  }));
}

for (const field of document.querySelectorAll("input[type=search]")) {
  const rows = [...field.parentElement.querySelector("tbody").rows];
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
