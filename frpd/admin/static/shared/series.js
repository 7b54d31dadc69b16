// Rates over time, made from totals that only grow.

const GAP_MS = 9000 // between two samples of one line; more is a gap

/** What one thing received and sent: the last samples of both rates. */
export class Series {
  constructor(limit = 150) {
    this.limit = limit
    this.times = []
    this.in = []
    this.out = []
    this.last = null
  }

  /** Note totals; `at` in milliseconds. */
  note(totalIn, totalOut, at) {
    const last = this.last
    if (last && at - last.at < 500) return
    this.last = { at, in: totalIn, out: totalOut }
    if (!last || at - last.at > GAP_MS) {
      if (this.times.length) this.push(at, null, null)
      return
    }
    const seconds = (at - last.at) / 1000
    // Less than before: the day is over, or the daemon was started again.
    const speed = (total, before) => (total >= before ? (total - before) / seconds : null)
    this.push(at, speed(totalIn, last.in), speed(totalOut, last.out))
  }

  push(at, rateIn, rateOut) {
    this.times.push(at / 1000)
    this.in.push(rateIn)
    this.out.push(rateOut)
    if (this.times.length > this.limit) for (const list of [this.times, this.in, this.out]) list.shift()
  }

  get rateIn() {
    return this.in.at(-1) ?? NaN
  }

  get rateOut() {
    return this.out.at(-1) ?? NaN
  }
}

/** A Series for each of many things; those that are gone are forgotten. */
export class Meter {
  constructor(limit = 2) {
    this.limit = limit
    this.series = new Map()
  }

  note(rows, key, totalIn, totalOut, at) {
    const found = new Map()
    for (const row of rows) {
      const name = key(row)
      const series = this.series.get(name) || new Series(this.limit)
      series.note(totalIn(row), totalOut(row), at)
      found.set(name, series)
    }
    this.series = found
  }

  /** Both rates together. */
  rate(name) {
    const series = this.series.get(name)
    return series ? series.rateIn + series.rateOut : NaN
  }
}
