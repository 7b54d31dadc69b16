// A page is a function of its data. It returns a light description of elements (h), and put()
// changes what is on the screen into that, so that focus, selection and scroll positions stay.

const SVG = "http://www.w3.org/2000/svg"

/**
 * Describe an element. Props: `on...` are handlers, `class`, `aria-...` and the like attributes;
 * value, checked, disabled and open are kept as properties; `key` says who is who in a list;
 * `vars` are custom properties of CSS; `data` is for the hooks: `mount(el)` is called once, and may
 * return what to call at the end; `update(el)` is called after each change.
 */
export function h(tag, props, ...children) {
  return { tag, props: props || {}, children: flat(children) }
}

function flat(children) {
  const found = []
  for (const child of children.flat(Infinity)) {
    // 0 too: it is what is left of `list.length && ...`; figures come as texts.
    if (!child) continue
    found.push(typeof child === "object" ? child : String(child))
  }
  return found
}

/** Have exactly these children in an element. */
export function put(parent, ...children) {
  reconcile(parent, flat(children), parent.namespaceURI === SVG)
}

function reconcile(parent, wanted, inSvg) {
  const keyed = new Map()
  for (const node of parent.childNodes) {
    if (node.described?.props.key !== undefined) keyed.set(node.described.props.key, node)
  }
  let next = parent.firstChild
  for (const description of wanted) {
    const key = description.props?.key
    let node = key === undefined ? next : keyed.get(key)
    if (node && key === undefined && node.described?.props.key !== undefined) node = null
    if (!node || !fits(node, description)) {
      node = make(description, inSvg)
      parent.insertBefore(node, next)
    } else {
      if (node === next) next = next.nextSibling
      else parent.insertBefore(node, next)
      refresh(node, description)
    }
  }
  while (next) {
    const gone = next
    next = next.nextSibling
    parent.removeChild(gone)
    end(gone)
  }
}

function fits(node, description) {
  if (typeof description === "string") return node.nodeType === Node.TEXT_NODE
  return node.described?.tag === description.tag
}

function make(description, inSvg) {
  if (typeof description === "string") return document.createTextNode(description)
  const svg = inSvg || description.tag === "svg"
  const node = svg ? document.createElementNS(SVG, description.tag)
    : document.createElement(description.tag)
  node.described = { tag: description.tag, props: {} }
  refresh(node, description)
  node.atEnd = description.props.mount?.(node)
  return node
}

function refresh(node, description) {
  if (typeof description === "string") {
    if (node.data !== description) node.data = description
    return
  }
  const before = node.described.props
  const after = description.props
  node.described = description
  // What hooks put into an element is theirs.
  if (!after.mount) reconcile(node, description.children, node.namespaceURI === SVG)
  for (const name of Object.keys(before)) if (!(name in after)) set(node, name, null)
  for (const [name, value] of Object.entries(after)) set(node, name, value, before[name])
  after.update?.(node)
}

const PROPERTIES = new Set(["value", "checked", "disabled", "open", "selected"])

function set(node, name, value, before) {
  if (name === "key" || name === "mount" || name === "update" || name === "data") return
  if (name.startsWith("on")) node[name] = value
  else if (name === "vars") {
    for (const [each, content] of Object.entries(value || {})) node.style.setProperty(each, content)
  } else if (PROPERTIES.has(name)) {
    const wanted = name === "value" ? value ?? "" : Boolean(value)
    if (node[name] !== wanted) node[name] = wanted
  } else if (value === before) return
  else if (value === null || value === undefined || value === false) node.removeAttribute(name)
  else node.setAttribute(name, value === true ? "" : value)
}

function end(node) {
  node.atEnd?.()
  for (const child of node.childNodes) end(child)
}
