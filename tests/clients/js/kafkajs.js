// The adapter for KafkaJS: `kafkajs.js BOOTSTRAP`.
import { randomUUID } from 'node:crypto'
import kafkajs from 'kafkajs'
import snappy from 'kafkajs-snappy'
import lz4 from 'lz4-napi'
import { ZstdCodec } from 'zstd-codec'
import { Queue, recordOut, recordsIn, serve } from './line.js'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, Partitioners, logLevel } = kafkajs

// The library brings gzip; the others are to be given to it.
CompressionCodecs[CompressionTypes.Snappy] = snappy
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: encoder => lz4.compressFrame(encoder.buffer),
  decompress: buffer => lz4.decompressFrame(buffer)
})
const zstd = await new Promise(resolve => ZstdCodec.run(resolve))
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async encoder => Buffer.from(new zstd.Simple().compress(encoder.buffer)),
  decompress: async buffer => Buffer.from(new zstd.Streaming().decompress(buffer))
})

const CODECS = { none: 'None', gzip: 'GZIP', snappy: 'Snappy', lz4: 'LZ4', zstd: 'ZSTD' }
const KINDS = {
  INVALID_PRODUCER_EPOCH: 'fenced',
  PRODUCER_FENCED: 'fenced',
  TOPIC_ALREADY_EXISTS: 'exists',
  UNKNOWN_TOPIC_OR_PARTITION: 'unknown_topic',
  INVALID_CONFIG: 'invalid_config',
  NON_EMPTY_GROUP: 'not_empty'
}
const AMID_REBALANCE = ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID']

/** The server's word for an error, which the library wraps up in others of its own. */
function typeOf(error) {
  if (!error) return undefined
  const inner = [error.cause, error.originalError, ...(error.errors ?? []), ...(error.groups ?? []).map(g => g.error)]
  return error.type ?? inner.map(typeOf).find(type => type)
}

/** Names that occur more than once have a list. */
function headersIn(pairs) {
  const headers = {}
  for (const [name, value] of pairs) headers[name] = name in headers ? [headers[name], value].flat() : value
  return headers
}

function headersOut(headers) {
  return Object.entries(headers ?? {}).flatMap(([name, values]) => [values].flat().map(value => [name, value]))
}

function messages(command) {
  return recordsIn(command).map(({ key, value, headers, timestamp }) => ({
    key,
    value,
    headers: headersIn(headers),
    ...(command.partition === null ? {} : { partition: command.partition }),
    ...(timestamp === null ? {} : { timestamp: String(timestamp) })
  }))
}

const received = ({ partition, message: { offset, timestamp, key, value, headers } }) =>
  recordOut(partition, offset, timestamp, key, value, headersOut(headers))

class Client {
  #kafka
  #admin
  #member
  #producer
  #first
  #transaction

  constructor(bootstrap) {
    this.#kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })
    this.#admin = this.#kafka.admin()
  }

  connect() {
    return this.#admin.connect()
  }

  async create_topic({ topic, partitions, configs }) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    // The library would ask until there are leaders, but not again where the server has not heard of the topic yet, as Apache
    // Kafka may have not; jobs wait by themselves. A topic that exists is no error for the library, but it tells.
    const topics = [{ topic, numPartitions: partitions, configEntries }]
    const made = await this.#admin.createTopics({ topics, waitForLeaders: false })
    if (!made) throw Object.assign(new Error('the topic was there before'), { type: 'TOPIC_ALREADY_EXISTS' })
  }

  async grow_topic({ topic, partitions }) {
    await this.#admin.createPartitions({ topicPartitions: [{ topic, count: partitions }] })
  }

  delete_topic({ topic }) {
    return this.#admin.deleteTopics({ topics: [topic] })
  }

  async partitions({ topic }) {
    const { topics } = await this.#admin.fetchTopicMetadata()
    return { partitions: topics.find(({ name }) => name === topic)?.partitions.length ?? 0 }
  }

  async produce(command) {
    const producer = this.#kafka.producer({
      idempotent: command.idempotent,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner
    })
    await producer.connect()
    try {
      const compression = CompressionTypes[CODECS[command.codec]]
      await producer.send({ topic: command.topic, acks: -1, compression, messages: messages(command) })
    } finally {
      await producer.disconnect()
    }
  }

  /** The library reads as a member of a group only: one of its own, that is moved to the offset. */
  async fetch({ topic, partition, offset, count, committed, ms }) {
    const groupId = `reader-${randomUUID()}`
    const consumer = this.#kafka.consumer({ groupId, readUncommitted: !committed, maxWaitTimeInMs: 100 })
    const queue = new Queue()
    await consumer.connect()
    try {
      await consumer.subscribe({ topics: [topic], fromBeginning: true })
      const joined = new Promise(resolve => consumer.on(consumer.events.GROUP_JOIN, resolve))
      await consumer.run({ autoCommit: false, eachMessage: async message => queue.push(message) })
      await joined
      consumer.seek({ topic, partition, offset: String(offset) })
      // What came before it was moved is not wanted.
      let next = offset
      const isNext = got => got.partition === partition && Number(got.message.offset) >= next
      const records = []
      while (records.length < count) {
        const got = await queue.next(ms, isNext)
        if (!got) break
        next = Number(got.message.offset) + 1
        records.push(received(got))
      }
      return { records }
    } finally {
      await consumer.disconnect()
      await this.#admin.deleteGroups([groupId])
    }
  }

  async offsets({ topic, partition, timestamp }) {
    const of = offsets => offsets.find(one => one.partition === partition)
    const { low, high } = of(await this.#admin.fetchTopicOffsets(topic))
    let at = null
    if (timestamp !== null) {
      const { offset } = of(await this.#admin.fetchTopicOffsetsByTimestamp(topic, timestamp))
      // Where no record is as late, the library gives the end of the partition.
      at = offset === high ? null : Number(offset)
    }
    return { earliest: Number(low), latest: Number(high), at }
  }

  async subscribe({ group, topic }) {
    const consumer = this.#kafka.consumer({
      groupId: group,
      sessionTimeout: 10_000,
      heartbeatInterval: 300,
      maxWaitTimeInMs: 200
    })
    const member = { consumer, topic, queue: new Queue(), owned: [], next: new Map() }
    const owns = partitions => {
      member.owned = partitions
      // It reads from the committed offsets on: what it read before does not count any more.
      member.queue.clear()
      member.next.clear()
    }
    consumer.on(consumer.events.REBALANCING, () => owns([]))
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => owns(payload.memberAssignment[topic] ?? []))
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    await consumer.run({ autoCommit: false, eachMessage: async message => member.queue.push(message) })
    this.#member = member
  }

  async poll({ ms }) {
    const { queue, next } = this.#member
    const messages = await queue.all(ms)
    for (const { partition, message } of messages) next.set(partition, String(BigInt(message.offset) + 1n))
    return { records: messages.map(received), assigned: this.#member.owned.slice().sort((a, b) => a - b) }
  }

  async commit() {
    const { consumer, topic, owned, next } = this.#member
    if (owned.length === 0) return { committed: false }
    try {
      await consumer.commitOffsets([...next].map(([partition, offset]) => ({ topic, partition, offset })))
      return { committed: true }
    } catch (error) {
      if (AMID_REBALANCE.includes(typeOf(error))) return { committed: false }
      throw error
    }
  }

  async leave() {
    await this.commit()
    await this.#member.consumer.disconnect()
    this.#member = undefined
  }

  async committed({ group, topic, partition }) {
    const [{ partitions }] = await this.#admin.fetchOffsets({ groupId: group, topics: [topic] })
    const offset = Number(partitions.find(one => one.partition === partition)?.offset ?? -1)
    return { offset: offset < 0 ? null : offset }
  }

  async list_groups() {
    return { groups: (await this.#admin.listGroups()).groups.map(({ groupId }) => groupId) }
  }

  async describe_group({ group }) {
    const [{ state, members }] = (await this.#admin.describeGroups([group])).groups
    return { state, members: members.length }
  }

  async delete_group({ group }) {
    await this.#admin.deleteGroups([group])
  }

  async #configs(topic) {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic }]
    return (await this.#admin.describeConfigs({ resources, includeSynonyms: false })).resources[0].configEntries
  }

  async describe_config({ topic, name }) {
    return { value: (await this.#configs(topic)).find(entry => entry.configName === name)?.configValue ?? null }
  }

  /** The library has the request that replaces all values of a topic: those that it has are given again. */
  async alter_config({ topic, name, value }) {
    const kept = (await this.#configs(topic)).filter(entry => !entry.isDefault && entry.configName !== name)
    const configEntries = kept.map(entry => ({ name: entry.configName, value: entry.configValue }))
    configEntries.push({ name, value })
    await this.#admin.alterConfigs({ resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }] })
  }

  async delete_records({ topic, partition, offset }) {
    await this.#admin.deleteTopicRecords({ topic, partitions: [{ partition, offset: String(offset) }] })
  }

  async init_transactions({ transactional_id }) {
    await this.#producer?.disconnect()
    this.#producer = this.#kafka.producer({
      transactionalId: transactional_id,
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: Partitioners.DefaultPartitioner
    })
    await this.#producer.connect()
    // The library asks for its producer id with the first transaction, and only then is an older producer fenced.
    this.#first = await this.#producer.transaction()
  }

  async begin() {
    this.#transaction = this.#first ?? (await this.#producer.transaction())
    this.#first = undefined
  }

  async send(command) {
    await this.#transaction.send({ topic: command.topic, acks: -1, messages: messages(command) })
  }

  async send_offsets({ group, topic, partition, offset }) {
    const topics = [{ topic, partitions: [{ partition, offset: String(offset) }] }]
    await this.#transaction.sendOffsets({ consumerGroupId: group, topics })
  }

  end({ commit }) {
    return commit ? this.#transaction.commit() : this.#transaction.abort()
  }
}

const client = new Client(process.argv[2])
await client.connect()
const noServerAssignor = 'has no consumer protocol (KIP-848)'
const lacks = {
  'null-headers': 'its producer writes no header without a value',
  'group-cooperative': 'its members give up all partitions in a rebalance',
  'group-uniform': noServerAssignor,
  'group-range': noServerAssignor,
  'static-member': 'has no group.instance.id'
}
await serve({ name: 'KafkaJS', module: 'kafkajs', lacks, kindOf: error => KINDS[typeOf(error)] }, client)
