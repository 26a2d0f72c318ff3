// Return the smallest contrast between text and what is behind it, and where it is.
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\d.]+/g).slice(0, 3).map(Number).map((value) => {
    const s = value / 255;
    return s <= 0.04045 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const ground = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const colour = getComputedStyle(e).backgroundColor;
    if (!/, 0\)$/.test(colour)) return colour;
  }
  return "rgb(255, 255, 255)";
};
document.documentElement.dataset.theme = arguments[0];
const kinds = "p, small, figcaption, dt, dd, th, td, a, summary, button, code";
return [...document.querySelectorAll(kinds)]
  .filter((e) => e.offsetParent && e.textContent.trim())
  .map((e) => {
    const own = luminance(getComputedStyle(e).color);
    const behind = luminance(ground(e));
    const ratio = (Math.max(own, behind) + 0.05) / (Math.min(own, behind) + 0.05);
    return [ratio, e.outerHTML.slice(0, 120)];
  })
  .sort((x, y) => x[0] - y[0])[0];
