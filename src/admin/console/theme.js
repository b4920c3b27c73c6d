// Sets the theme before anything is painted. `auto` follows the system.
(() => {
  let wanted = "auto";
  try {
    wanted = localStorage.getItem("theme") || "auto";
  } catch {
    // Without storage the system's theme is taken.
  }
  document.documentElement.dataset.theme = wanted;
})();
