// What this browser keeps for its user. A browser without storage keeps it until the page goes.

const kept = new Map()

export function recall(name) {
  try {
    return localStorage.getItem(`frpd.${name}`)
  } catch {
    return kept.get(name) ?? null
  }
}

export function keep(name, value) {
  kept.set(name, value)
  try {
    localStorage.setItem(`frpd.${name}`, value)
  } catch {
    // As above.
  }
}
