// Before a page is printed: the light theme, and of each view the frame that tells its story. A page
// of the site loads this, and so does the document of book/pdf.py.
{
  // The title of a view -> what is done to it, where paper should not show what it opens with.
  const FRAMES = {
    "Guess the next word": (view) => press(view, "Show the word"),
    "Take the masks away: three words, six orders": (view) => {
      press(view, "a network");
      press(view, "Try all six orders");
    },
    "Keep the last marked number": (view) => {
      press(view, "Open at the marks only");
      view.querySelector("label").classList.add("off-paper"); // the one gate, which is not used
    },
    "Which steps are in each state": (view) => move(view, 2),
  };
  const WRITTEN = "@media print { .bar, .said, .given, details { display: none !important } }";
  let theme;

  function press(view, words) {
    [...view.querySelectorAll("button")].find((button) => button.textContent === words).click();
  }

  // the first slider of a view
  function move(view, number) {
    const range = view.querySelector("[type=range]");
    range.value = number;
    range.dispatchEvent(new Event("input"));
  }

  // what a reader has set stays as it is
  for (const kind of ["click", "input"]) {
    document.addEventListener(kind, (event) => {
      const view = event.isTrusted && event.target.closest?.("figure[role=group]");
      if (view) view.dataset.moved = "";
    }, true);
  }

  window.addEventListener("beforeprint", () => {
    const { dataset } = document.documentElement;
    theme ??= dataset.theme;
    dataset.theme = "light";
    for (const view of document.querySelectorAll("figure[role=group]:not([data-moved])")) {
      const show = FRAMES[view.getAttribute("aria-label")];
      if (!show) continue;
      view.dataset.moved = "";
      show(view);
    }
    for (const { shadowRoot } of document.querySelectorAll("nano-race")) {
      if (!shadowRoot || shadowRoot.querySelector(".on-paper")) continue;
      const style = document.createElement("style");
      style.className = "on-paper";
      style.textContent = WRITTEN;
      shadowRoot.append(style);
    }
  });
  window.addEventListener("afterprint", () => {
    document.documentElement.dataset.theme = theme;
    theme = undefined;
  });
}
