// The configuration as it was loaded.

import { h } from "../../shared/view.js"
import { reloadButton, settingsView } from "../../shared/settings.js"
import { t } from "../../shared/text.js"

export const configPage = {
  path: "config",
  nav: "nav.config",
  title: () => t("nav.config"),
  sources: () => ({ config: { path: "/api/frpd/config", every: 10 } }),

  view(app) {
    const file = app.get("config")?.file || app.base?.config_file
    return [
      h("div", { class: "headline" },
        file ? h("code", {}, file) : h("span", {}, t("config.no-file")),
        file && reloadButton(app)),
      h("p", { class: "hint" }, t("config.hint.frps")),
      settingsView(app),
    ]
  },
}
