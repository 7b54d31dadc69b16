// The configuration as it was loaded.

import { h } from "../../shared/view.js"
import { reloadButton, settingsView } from "../../shared/settings.js"
import { t } from "../../shared/text.js"

export const settingsPage = {
  path: "config",
  nav: "nav.settings",
  title: () => t("nav.settings"),
  sources: () => ({ config: { path: "/api/frpd/config", every: 10 } }),

  view(app) {
    const file = app.base?.config_file
    return [
      h("div", { class: "headline" },
        file ? h("code", {}, file) : h("span", {}, t("config.no-file")),
        file && reloadButton(app)),
      settingsView(app),
    ]
  },
}
