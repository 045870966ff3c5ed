// The mathematics is typeset and each slide made to fit while all of them are laid out; then
// reveal.js begins.
const SMALLEST = 0.6; // of the usual letters
const LARGEST = 1.28; // where there is little to read, which then fills
const ROOMY = 0.6; // of the height at most

// The share of its height that is filled.
function filled(body) {
  const box = (part) => part.getBoundingClientRect();
  const parts = [...body.children];
  return parts.length && (box(parts.at(-1)).bottom - box(parts[0]).top) / body.clientHeight;
}

// Whether something is cut off. A few pixels are what lines have above and below their letters.
function overflows(body, size) {
  const right = body.getBoundingClientRect().right + 1;
  const wide = body.querySelectorAll("mjx-math, table");
  return (
    body.scrollHeight > body.clientHeight + 4 ||
    (size > 1 && filled(body) > ROOMY) ||
    [...wide].some((part) => part.getBoundingClientRect().right > right)
  );
}

// The largest letters, from `size` on, with which an element is not too large.
function fit(element, size, tooLarge) {
  element.style.fontSize = `${size}em`;
  for (; size > SMALLEST && tooLarge(element, size); size -= 0.04) {
    element.style.fontSize = `${(size - 0.04).toFixed(2)}em`;
  }
}

async function begin() {
  await MathJax.startup.promise;
  document.body.getBoundingClientRect(); // which lays out, and so asks for the letters
  await document.fonts.ready;
  for (const code of document.querySelectorAll("pre")) {
    fit(code, 1, () => code.scrollWidth > code.clientWidth + 1);
  }
  for (const body of document.querySelectorAll(".body")) {
    const words = !body.querySelector(".figure, .view, pre") && !body.closest(".title");
    fit(body, words ? LARGEST : 1, overflows);
  }
  document.documentElement.classList.remove("measuring");
  await Reveal.initialize({
    width: 1280,
    height: 720,
    margin: 0,
    center: false,
    hash: true,
    slideNumber: "c/t",
    transition: "none",
    pdfMaxPagesPerSlide: 1,
    plugins: [RevealNotes],
  });
  document.documentElement.classList.add("ready");
}

window.MathJax = {
  tex: { inlineMath: [["\\(", "\\)"]], displayMath: [["\\[", "\\]"]] },
  // a little larger, because its letters are lower than those around it
  chtml: { matchFontHeight: false, scale: 1.08 },
  options: { enableMenu: false, ignoreHtmlClass: "notes" },
};
addEventListener("load", begin);
