// Light or dark, and the language: what everything on the screen depends on.

import { keep, recall } from "./storage.js"
import { currentLanguage } from "./text.js"

export const THEMES = ["auto", "light", "dark"]
const dark = matchMedia("(prefers-color-scheme: dark)")

export function theme() {
  const kept = recall("theme")
  return THEMES.includes(kept) ? kept : "auto"
}

export function setTheme(name) {
  keep("theme", name)
  if (name === "auto") delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = name
}

export function onLookChange(call) {
  dark.addEventListener("change", call)
}

/** A name for how things look now; charts are drawn anew when it changes. */
export function look() {
  const name = theme()
  return `${name === "auto" ? (dark.matches ? "dark" : "light") : name} ${currentLanguage()}`
}
