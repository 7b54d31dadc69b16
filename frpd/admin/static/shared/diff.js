// The difference between two texts, by lines.

const MAX_CELLS = 4_000_000

/** Returns [{kind: " " | "+" | "-", text}] */
export function difference(before, after) {
  const old = before.split("\n")
  const young = after.split("\n")
  let head = 0
  while (head < old.length && head < young.length && old[head] === young[head]) head += 1
  let tail = 0
  while (tail < old.length - head && tail < young.length - head &&
    old[old.length - 1 - tail] === young[young.length - 1 - tail]) tail += 1
  return [
    ...old.slice(0, head).map(same),
    ...middle(old.slice(head, old.length - tail), young.slice(head, young.length - tail)),
    ...old.slice(old.length - tail).map(same),
  ]
}

const same = (text) => ({ kind: " ", text })
const gone = (text) => ({ kind: "-", text })
const come = (text) => ({ kind: "+", text })

function middle(old, young) {
  if (old.length * young.length > MAX_CELLS) return [...old.map(gone), ...young.map(come)]
  // longest[i][j]: of the common lines in old from i and young from j
  const longest = Array.from({ length: old.length + 1 }, () => new Uint16Array(young.length + 1))
  for (let i = old.length - 1; i >= 0; i -= 1) {
    for (let j = young.length - 1; j >= 0; j -= 1) {
      longest[i][j] = old[i] === young[j] ? longest[i + 1][j + 1] + 1
        : Math.max(longest[i + 1][j], longest[i][j + 1])
    }
  }
  const found = []
  let i = 0
  let j = 0
  while (i < old.length || j < young.length) {
    if (i < old.length && j < young.length && old[i] === young[j]) {
      found.push(same(old[i]))
      i += 1
      j += 1
    } else if (j >= young.length || (i < old.length && longest[i + 1][j] >= longest[i][j + 1])) {
      found.push(gone(old[i]))
      i += 1
    } else {
      found.push(come(young[j]))
      j += 1
    }
  }
  return found
}

/** Only what changed and a few lines around it; null stands for what is left out. */
export function excerpt(lines, around = 3) {
  const near = lines.map(() => false)
  lines.forEach((line, at) => {
    if (line.kind === " ") return
    for (let k = Math.max(0, at - around); k <= Math.min(lines.length - 1, at + around); k += 1) near[k] = true
  })
  const found = []
  lines.forEach((line, at) => {
    if (near[at]) found.push(line)
    else if (found.length === 0 || found.at(-1) !== null) found.push(null)
  })
  return found
}
