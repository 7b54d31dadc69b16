// Texts in the language of the user, by key; {name} in them is filled in.

import { keep, recall } from "./storage.js"
import { EN } from "./texts-en.js"
import { ZH } from "./texts-zh.js"

export const LANGUAGES = { en: "English", zh: "中文" }
const TABLES = { en: EN, zh: ZH }

let language = "en"
choose(recall("language") || (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en"))

function choose(name) {
  language = name in TABLES ? name : "en"
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en"
}

export function currentLanguage() {
  return language
}

export function setLanguage(name) {
  choose(name)
  keep("language", language)
}

/** The text of a key; of keys for numbers there is one more, KEY.one, in languages that need it. */
export function t(key, values = {}) {
  const table = TABLES[language]
  const text = (values.n === 1 && table[`${key}.one`]) || table[key]
  if (text === undefined) return key
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole)
}

/** A word that the daemon uses, such as a status; itself where there is no translation. */
export function word(group, value) {
  const text = TABLES[language][`${group}.${value}`]
  return text === undefined ? value : text
}
