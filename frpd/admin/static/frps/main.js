// The dashboard of frps.

import { start } from "../shared/shell.js"
import { logPage } from "../shared/log.js"
import { clientPage } from "./pages/client.js"
import { clientsPage } from "./pages/clients.js"
import { configPage } from "./pages/config.js"
import { noteOverview, overviewPage } from "./pages/overview.js"
import { proxiesPage } from "./pages/proxies.js"
import { proxyPage } from "./pages/proxy.js"

start({
  program: "frps",
  base: "/api/frpd/overview",
  noteBase: noteOverview,
  pages: [overviewPage, proxiesPage, clientsPage, configPage, logPage, proxyPage, clientPage],
})
