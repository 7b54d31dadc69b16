// The dashboard of frpc.

import { start } from "../shared/shell.js"
import { logPage } from "../shared/log.js"
import { editorPage } from "./pages/editor.js"
import { noteStatus, overviewPage } from "./pages/overview.js"
import { proxyPage } from "./pages/proxy.js"
import { settingsPage } from "./pages/settings.js"
import { visitorsPage } from "./pages/visitors.js"

start({
  program: "frpc",
  base: "/api/frpd/status",
  noteBase: noteStatus,
  pages: [overviewPage, visitorsPage, editorPage, settingsPage, logPage, proxyPage],
})
