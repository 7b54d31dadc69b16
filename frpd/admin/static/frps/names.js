// How proxies and clients are called, where they are found, and the order of types.

import { h } from "../shared/view.js"
import { t } from "../shared/text.js"

export const TYPES = ["tcp", "udp", "http", "https", "tcpmux", "stcp", "sudp", "xtcp"]

export const proxyLink = (name) => `#/proxy/${encodeURIComponent(name)}`
export const clientLink = (key) => `#/client/${encodeURIComponent(key)}`

/** Where visitors find a proxy, in one line; "" where it is offline or needs a visitor. */
export function place(proxy, server) {
  const conf = proxy.conf
  if (!conf) return ""
  if (proxy.type === "tcp" || proxy.type === "udp") return portOf(proxy)
  const domains = domainsOf(conf, server)
  if (!domains.length) return ""
  const locations = (conf.locations || []).filter((one) => one && one !== "/")
  return domains.join(", ") + (locations.length ? ` ${locations.join(" ")}` : "")
}

/** Port of a proxy, of the virtual hosts for those; 0 for none. */
export function port(proxy, server) {
  if (!proxy.conf) return 0
  if (proxy.conf.remote_port) return proxy.conf.remote_port
  const shared = { http: "vhost_http_port", https: "vhost_https_port", tcpmux: "tcpmux_httpconnect_port" }
  return server?.[shared[proxy.type]] || 0
}

function portOf(proxy) {
  return proxy.remote_addr || `:${proxy.conf.remote_port}`
}

export function domainsOf(conf, server) {
  const own = conf.custom_domains || []
  if (!conf.sub_domain) return own
  return [...own, server?.subdomain_host ? `${conf.sub_domain}.${server.subdomain_host}` : conf.sub_domain]
}

/** What a client is called: its user and host. */
export function clientName(client) {
  if (!client) return "–"
  return [client.user, client.hostname || client.clientIP].filter(Boolean).join(" @ ") || client.key.slice(0, 12)
}

export function placeCell(proxy, server) {
  const text = place(proxy, server)
  if (text) return h("span", { class: "n place" }, text)
  return h("span", { class: "dim" }, proxy.conf ? t("place.visitor") : "–")
}
