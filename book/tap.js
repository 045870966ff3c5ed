// A finger has no tooltip: pressing a word whose tooltip holds a number shows the number below it.
addEventListener("click", ({ target }) => {
  document.querySelector(".tapped")?.remove();
  const word = target.closest("figure [title]");
  if (!word) return;
  const { left, bottom } = word.getBoundingClientRect(), shown = document.createElement("output");
  shown.className = "tapped";
  shown.textContent = `${word.textContent.trim()} ${word.title}`;
  document.body.append(shown);
  const most = document.documentElement.clientWidth - shown.offsetWidth;
  shown.style.left = `${scrollX + Math.min(left, most)}px`;
  shown.style.top = `${scrollY + bottom + 2}px`;
});
