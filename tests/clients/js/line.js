// An adapter's side of the protocol between jobs and foreign clients: one JSON object a line comes in, one goes out.
// docs/internals/foreign-clients.md tells what is in them.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const decode = text => (text === null ? null : Buffer.from(text, 'base64'))
const encode = bytes => (bytes == null ? null : Buffer.from(bytes).toString('base64'))

/** The records of a command, their bytes as buffers. */
export function recordsIn(command) {
  return command.records.map(({ key, value, headers, timestamp }) => ({
    key: decode(key),
    value: decode(value),
    headers: headers.map(([name, value]) => [name, decode(value)]),
    timestamp
  }))
}

/** A record of an answer; `headers` are pairs. */
export function recordOut(partition, offset, timestamp, key, value, headers) {
  return {
    partition,
    offset: Number(offset),
    timestamp: Number(timestamp),
    key: encode(key),
    value: encode(value),
    headers: headers.map(([name, value]) => [name, encode(value)])
  }
}

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms))

/** What a consumer has got and no poll has asked for yet. */
export class Queue {
  #items = []

  push(item) {
    this.#items.push(item)
  }

  /** Takes the next one that is right, waiting for it up to `ms`. */
  async next(ms, isRight = () => true) {
    for (const end = Date.now() + ms; ; await sleep(5)) {
      while (this.#items.length > 0) {
        const item = this.#items.shift()
        if (isRight(item)) return item
      }
      if (Date.now() >= end) return undefined
    }
  }

  /** Takes `count` that are right, or fewer when none comes for `ms`. */
  async take(count, ms, isRight) {
    const items = []
    while (items.length < count) {
      const item = await this.next(ms, isRight)
      if (item === undefined) break
      items.push(item)
    }
    return items
  }

  /** Takes all that come within `ms`. */
  async all(ms) {
    await sleep(ms)
    return this.#items.splice(0)
  }

  clear() {
    this.#items = []
  }
}

/**
 * Does what each line says, by the client's method of the op's name, until the input ends.
 *
 * `name` is what people call the library, `module` its package, `lacks` the features that it has no way to do and why;
 * `kindOf` gives the protocol's word for an error of the library's, or undefined.
 */
export async function serve({ name, module, lacks, kindOf }, client) {
  // What a library prints must not get between the answers.
  console.log = console.info = console.warn = console.error
  const { version } = JSON.parse(readFileSync(new URL(`node_modules/${module}/package.json`, import.meta.url)))
  client.hello = () => ({ client: name, version, lacks })
  for await (const text of createInterface({ input: process.stdin })) {
    const command = JSON.parse(text)
    let answer
    try {
      if (!client[command.op]) throw new Error(`${name} has no way to do ${command.op}`)
      answer = { ok: (await client[command.op](command)) ?? {} }
    } catch (error) {
      console.error(error)
      answer = { error: `${error.name}: ${error.message}`, kind: kindOf(error) }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }
  process.exit(0)
}
