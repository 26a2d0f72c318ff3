(() => {
  let kept = null;
  try { kept = localStorage.getItem("relulens-theme"); } catch { kept = null; }
  if (kept === "light" || kept === "dark") document.documentElement.dataset.theme = kept;
})();
