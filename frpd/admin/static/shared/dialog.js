// Questions. The focus goes into the dialog and back to where it came from; Escape says no.

import { h, put } from "./view.js"
import { t } from "./text.js"

/**
 * Ask before something is done; the dialog stays until it is over, and shows why it failed.
 *
 * @param content returns what the question shows
 * @param act called for yes; what it returns resolves the promise
 * @returns what act returned, or null for no
 */
export function ask({ title, content, yes, danger = false, wide = false, act }) {
  return new Promise((resolve) => {
    const dialog = document.createElement("dialog")
    dialog.setAttribute("aria-labelledby", "dialog-title")
    if (wide) dialog.className = "wide"
    let busy = false
    let complaint = ""

    const finish = (result) => {
      dialog.close()
      dialog.remove()
      resolve(result)
    }
    const proceed = async () => {
      busy = true
      complaint = ""
      draw()
      try {
        finish(act ? await act() : true)
      } catch (error) {
        busy = false
        complaint = error.status === 0 ? t(`daemon.${error.message}`) : error.message
        draw()
      }
    }
    const draw = () => put(dialog,
      h("h2", { id: "dialog-title" }, title),
      h("div", { class: "dialog-body" }, content()),
      complaint && h("p", { class: "notice bad", role: "alert" }, complaint),
      h("div", { class: "dialog-foot" },
        h("button", { type: "button", class: "button", onclick: () => finish(null), disabled: busy,
          id: "dialog-no" }, yes ? t("dialog.no") : t("dialog.close")),
        yes && h("button", { type: "button", class: `button ${danger ? "danger" : "primary"}`,
          onclick: proceed, disabled: busy, id: "dialog-yes" }, busy ? t("dialog.busy") : yes)))

    dialog.addEventListener("cancel", (event) => {
      event.preventDefault()
      if (!busy) finish(null)
    })
    draw()
    document.body.append(dialog)
    dialog.showModal()
    // Of something dangerous Enter should not be yes at once.
    dialog.querySelector(danger || !yes ? "#dialog-no" : "#dialog-yes").focus()
  })
}
