// The adapter for node-rdkafka, which is librdkafka for Node: `node-rdkafka.js BOOTSTRAP`.
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import rdkafka from 'node-rdkafka'
import { Queue, recordOut, recordsIn, serve, sleep } from './line.js'

const { AdminClient, CODES, KafkaConsumer, Producer } = rdkafka
const PATIENCE = 60_000
const { ERRORS } = CODES
const KINDS = {
  [ERRORS.ERR__FENCED]: 'fenced',
  [ERRORS.ERR_INVALID_PRODUCER_EPOCH]: 'fenced',
  [ERRORS.ERR_PRODUCER_FENCED]: 'fenced',
  [ERRORS.ERR_TOPIC_ALREADY_EXISTS]: 'exists',
  [ERRORS.ERR_UNKNOWN_TOPIC_OR_PART]: 'unknown_topic',
  [ERRORS.ERR_INVALID_CONFIG]: 'invalid_config'
}

/** An empty buffer of its own has no address, and so would be null for librdkafka; one within another has. */
const EMPTY = Buffer.from('.').subarray(0, 0)
const withAddress = bytes => (bytes?.length === 0 ? EMPTY : bytes)

/** Calls the library's method of this name, whose last parameter is a callback. */
const call = (client, method, ...given) => promisify(client[method]).apply(client, given)

/** Headers are objects of one name each. */
function headersOut(headers) {
  return (headers ?? []).flatMap(header => Object.entries(header))
}

const received = ({ partition, offset, timestamp, key, value, headers }) =>
  recordOut(partition, offset, timestamp, key, value, headersOut(headers))

class Client {
  #bootstrap
  #admin
  #asking
  #member
  #producer

  constructor(bootstrap) {
    this.#bootstrap = bootstrap
    this.#admin = AdminClient.create(this.#settings())
  }

  async connect() {
    this.#asking = await this.#consumer({ 'group.id': 'asking' })
  }

  #settings(more) {
    return { 'bootstrap.servers': this.#bootstrap, ...more }
  }

  async #consumer(settings, ofTopics) {
    const consumer = new KafkaConsumer(this.#settings({ 'enable.auto.commit': false, ...settings }), ofTopics ?? {})
    await call(consumer, 'connect', {})
    return consumer
  }

  async create_topic({ topic, partitions, configs }) {
    const made = { topic, num_partitions: partitions, replication_factor: 1, config: configs }
    await call(this.#admin, 'createTopic', made, PATIENCE)
  }

  async grow_topic({ topic, partitions }) {
    await call(this.#admin, 'createPartitions', topic, partitions, PATIENCE)
  }

  async delete_topic({ topic }) {
    await call(this.#admin, 'deleteTopic', topic, PATIENCE)
  }

  async partitions({ topic }) {
    // All topics are asked for: to ask for one by its name may create it.
    const { topics } = await call(this.#asking, 'getMetadata', { allTopics: true, timeout: PATIENCE })
    return { partitions: topics.find(({ name }) => name === topic)?.partitions.length ?? 0 }
  }

  async #newProducer(settings) {
    const producer = new Producer(this.#settings({ dr_cb: true, ...settings }), {})
    await call(producer, 'connect', {})
    producer.setPollInterval(10)
    return producer
  }

  async #sendAll(producer, command) {
    const records = recordsIn(command)
    let acknowledged = 0
    const failed = []
    const listen = error => (error ? failed.push(error) : acknowledged++)
    producer.on('delivery-report', listen)
    for (const { key, value, headers, timestamp } of records) {
      const pairs = headers.map(([name, value]) => ({ [name]: value }))
      const [k, v] = [key, value].map(withAddress)
      producer.produce(command.topic, command.partition, v, k, timestamp ?? undefined, null, pairs)
    }
    for (const end = Date.now() + PATIENCE; acknowledged + failed.length < records.length && Date.now() < end; ) {
      await sleep(5)
    }
    producer.off('delivery-report', listen)
    if (failed.length > 0) throw failed[0]
    if (acknowledged < records.length) throw new Error('not all records were acknowledged')
  }

  async produce(command) {
    const producer = await this.#newProducer({
      'compression.codec': command.codec,
      'enable.idempotence': command.idempotent,
      'message.max.bytes': 2_000_000,
      'linger.ms': 5
    })
    try {
      await this.#sendAll(producer, command)
    } finally {
      await call(producer, 'disconnect')
    }
  }

  async fetch({ topic, partition, offset, count, committed, ms }) {
    const consumer = await this.#consumer({
      'group.id': `reader-${randomUUID()}`,
      'isolation.level': committed ? 'read_committed' : 'read_uncommitted'
    })
    consumer.assign([{ topic, partition, offset }])
    const queue = this.#consume(consumer)
    const records = await queue.take(count, ms)
    await call(consumer, 'disconnect')
    return { records: records.map(received) }
  }

  /** Lets all that the consumer gets come into a queue. */
  #consume(consumer) {
    const queue = new Queue()
    consumer.on('data', message => queue.push(message))
    consumer.setDefaultConsumeTimeout(100)
    consumer.consume()
    return queue
  }

  async offsets({ topic, partition, timestamp }) {
    const { lowOffset, highOffset } = await call(this.#asking, 'queryWatermarkOffsets', topic, partition, PATIENCE)
    let at = null
    if (timestamp !== null) {
      const [found] = await call(this.#asking, 'offsetsForTimes', [{ topic, partition, offset: timestamp }], PATIENCE)
      at = found.offset < 0 || found.offset === highOffset ? null : found.offset
    }
    return { earliest: lowOffset, latest: highOffset, at }
  }

  async subscribe({ group, topic, strategy, instance }) {
    const assignor = { eager: 'range', cooperative: 'cooperative-sticky' }[strategy]
    const consumer = await this.#consumer(
      {
        'group.id': group,
        ...(assignor
          ? { 'partition.assignment.strategy': assignor, 'session.timeout.ms': 10_000, 'heartbeat.interval.ms': 300 }
          : { 'group.protocol': 'consumer', 'group.remote.assignor': strategy }),
        ...(instance === null ? {} : { 'group.instance.id': instance })
      },
      { 'auto.offset.reset': 'earliest' }
    )
    consumer.subscribe([topic])
    this.#member = { consumer, topic, queue: this.#consume(consumer), next: new Map() }
  }

  #owned() {
    return this.#member.consumer.assignments().map(({ partition }) => partition)
  }

  async poll({ ms }) {
    const { queue, next } = this.#member
    const messages = await queue.all(ms)
    for (const { partition, offset } of messages) next.set(partition, offset + 1)
    return { records: messages.map(received), assigned: this.#owned() }
  }

  async commit() {
    const { consumer, topic, next } = this.#member
    const owned = this.#owned()
    const mine = [...next].filter(([partition]) => owned.includes(partition))
    try {
      if (mine.length > 0) consumer.commitSync(mine.map(([partition, offset]) => ({ topic, partition, offset })))
      return { committed: owned.length > 0 }
    } catch (error) {
      return { committed: false }
    }
  }

  async leave() {
    await this.commit()
    await call(this.#member.consumer, 'disconnect')
    this.#member = undefined
  }

  async committed({ group, topic, partition }) {
    const consumer = await this.#consumer({ 'group.id': group })
    const [{ offset }] = await call(consumer, 'committed', [{ topic, partition }], PATIENCE)
    await call(consumer, 'disconnect')
    return { offset: offset ?? null }
  }

  async init_transactions({ transactional_id }) {
    if (this.#producer) await call(this.#producer, 'disconnect')
    this.#producer = await this.#newProducer({ 'transactional.id': transactional_id })
    await call(this.#producer, 'initTransactions', PATIENCE)
  }

  async begin() {
    await call(this.#producer, 'beginTransaction')
  }

  async send(command) {
    await this.#sendAll(this.#producer, command)
  }

  async send_offsets({ group, topic, partition, offset }) {
    // Its metadata is that of somebody who commits without being a member.
    const consumer = await this.#consumer({ 'group.id': group })
    const offsets = [{ topic, partition, offset }]
    await call(this.#producer, 'sendOffsetsToTransaction', offsets, consumer, PATIENCE)
    await call(consumer, 'disconnect')
  }

  async end({ commit }) {
    await call(this.#producer, commit ? 'commitTransaction' : 'abortTransaction', PATIENCE)
  }
}

const client = new Client(process.argv[2])
await client.connect()
const lacks = {
  'null-headers': 'writes a header without a value as the text "null"',
  'group-admin': 'its admin client has topics only',
  'group-delete': 'its admin client has topics only',
  configs: 'its admin client has topics only',
  'delete-records': 'its admin client has topics only'
}
await serve({ name: 'node-rdkafka', module: 'node-rdkafka', lacks, kindOf: error => KINDS[error.code] }, client)
