// What a result of the search shows of its page: sentences, and a formula as one would type it. Sphinx
// alone would show the raw TeX, the code, and the list of the page's headings.
const SIGNS = Object.fromEntries(
  "alpha α beta β gamma γ delta δ Delta Δ varepsilon ε eta η theta θ kappa κ lambda λ mu μ pi π rho ρ sigma σ Sigma Σ tau τ varphi φ omega ω ell ℓ infty ∞ le ≤ ge ≥ neq ≠ approx ≈ times × cdot · sum Σ prod Π partial ∂ to → leftarrow ← mid | vert | dots … ldots … cdots … langle ⟨ rangle ⟩ sqrt √"
    .split(" ").flatMap((name, i, all) => (i % 2 ? [] : [[name, all[i + 1]]])),
);

// log_2 \frac{p}{q} -> log_2 p/q
function typed(tex) {
  return tex
    .replace(/^\\\(|\\\)$/g, "")
    .replace(/\\[dt]?frac\s*(\{[^{}]*\}|\w)\s*(\{[^{}]*\}|\w)/g, "$1/$2")
    .replace(/\\(?:text\w*|math\w+|operatorname|[bB]igg?[lr]?|left|right|bar|hat|overset)(?![a-zA-Z])/g, "")
    .replace(/([a-zA-Z])(?=\\[a-zA-Z])/g, "$1 ")
    .replace(/\\([a-zA-Z]+)/g, (_, name) => SIGNS[name] ?? name)
    .replace(/\\[,;:! ]/g, " ")
    .replace(/[{}\\]/g, "");
}

Search.htmlToText = (html, anchor) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  const article = page.querySelector("article.bd-article") ?? page.body;
  const place = (anchor && article.querySelector(anchor)) || article;
  const unsaid = "h1, script, style, svg, pre, iframe, .headerlink, .cell details, .output, div.math, .sd-btn, figure[role]";
  for (const part of place.querySelectorAll(unsaid)) part.remove();
  for (const formula of place.querySelectorAll(".math")) formula.textContent = typed(formula.textContent);
  return place.textContent.replace(/\s+/g, " ");
};
