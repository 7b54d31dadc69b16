// Before the first paint: or the page would flash in the wrong colours.
try {
  const theme = localStorage.getItem("frpd.theme")
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme
} catch {
  // No storage here: the browser's own wish counts.
}

// A script that did not arrive, as from a daemon that is just being restarted, is asked for again.
addEventListener("error", (event) => {
  if (event.target instanceof HTMLScriptElement) {
    document.getElementById("app").textContent = "The page could not be loaded. Trying again…"
    setTimeout(() => location.reload(), 2000)
  }
}, true)
