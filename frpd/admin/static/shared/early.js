// Before the first paint: or the page would flash in the wrong colours.
try {
  const theme = localStorage.getItem("frpd.theme")
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme
} catch {
  // No storage here: the browser's own wish counts.
}
