// The adapter for @platformatic/kafka: `platformatic.js BOOTSTRAP`.
import { randomUUID } from 'node:crypto'
import {
  Admin,
  ConfigResourceTypes,
  Consumer,
  FetchIsolationLevels,
  IncrementalAlterConfigOperationTypes,
  ListOffsetTimestamps,
  Producer
} from '@platformatic/kafka'
import { Queue, recordOut, recordsIn, serve } from './line.js'

const KINDS = {
  INVALID_PRODUCER_EPOCH: 'fenced',
  PRODUCER_FENCED: 'fenced',
  TOPIC_ALREADY_EXISTS: 'exists',
  UNKNOWN_TOPIC_OR_PARTITION: 'unknown_topic',
  INVALID_CONFIG: 'invalid_config',
  NON_EMPTY_GROUP: 'not_empty'
}

const hasCode = (error, code) => Boolean(error.findBy?.('apiId', code))

function received({ partition, offset, timestamp, key, value, headers }) {
  return recordOut(partition, offset, timestamp, key, value, [...headers].map(([name, value]) => [String(name), value]))
}

function messages(command) {
  return recordsIn(command).map(({ key, value, headers, timestamp }) => ({
    topic: command.topic,
    key,
    value,
    // With buffers as names, one that occurs twice is there twice.
    headers: new Map(headers.map(([name, value]) => [Buffer.from(name), value])),
    ...(command.partition === null ? {} : { partition: command.partition }),
    ...(timestamp === null ? {} : { timestamp: BigInt(timestamp) })
  }))
}

class Client {
  #connection
  #admin
  #member
  #producer
  #first
  #transaction

  constructor(bootstrap) {
    this.#connection = { clientId: 'foreign', bootstrapBrokers: [bootstrap] }
    this.#admin = new Admin(this.#connection)
  }

  async create_topic({ topic, partitions, configs }) {
    const entries = Object.entries(configs).map(([name, value]) => ({ name, value }))
    await this.#admin.createTopics({ topics: [topic], partitions, replicas: 1, configs: entries })
  }

  async grow_topic({ topic, partitions }) {
    await this.#admin.createPartitions({ topics: [{ name: topic, count: partitions, assignments: null }] })
  }

  async delete_topic({ topic }) {
    await this.#admin.deleteTopics({ topics: [topic] })
  }

  async partitions({ topic }) {
    try {
      const { topics } = await this.#admin.metadata({ topics: [topic], forceUpdate: true })
      return { partitions: topics.get(topic).partitionsCount }
    } catch (error) {
      // The library's own error, of a topic that the server does not tell of, has no code.
      if (hasCode(error, 'UNKNOWN_TOPIC_OR_PARTITION') || /unknown topic/i.test(error.message)) return { partitions: 0 }
      throw error
    }
  }

  async produce(command) {
    const producer = new Producer({ ...this.#connection, idempotent: command.idempotent })
    try {
      await producer.send({ messages: messages(command), compression: command.codec, acks: -1 })
    } finally {
      await producer.close()
    }
  }

  /** The library reads as a member of a group only: one of its own. */
  async fetch({ topic, partition, offset, count, committed, ms }) {
    const groupId = `reader-${randomUUID()}`
    const isolationLevel = FetchIsolationLevels[committed ? 'READ_COMMITTED' : 'READ_UNCOMMITTED']
    const consumer = new Consumer({ ...this.#connection, groupId, isolationLevel, maxWaitTime: 100 })
    const queue = new Queue()
    const stream = await consumer.consume({
      topics: [topic],
      mode: 'manual',
      offsets: [{ topic, partition, offset: BigInt(offset) }],
      autocommit: false
    })
    stream.on('data', message => queue.push(message))
    try {
      return { records: (await queue.take(count, ms, message => message.partition === partition)).map(received) }
    } finally {
      await consumer.close(true)
      await this.#admin.deleteGroups({ groups: [groupId] })
    }
  }

  async #offset({ topic, partition }, timestamp) {
    const partitions = [{ partitionIndex: partition, timestamp }]
    const [listed] = await this.#admin.listOffsets({ topics: [{ name: topic, partitions }] })
    return Number(listed.partitions[0].offset)
  }

  async offsets(command) {
    const at = command.timestamp === null ? -1 : await this.#offset(command, BigInt(command.timestamp))
    return {
      earliest: await this.#offset(command, ListOffsetTimestamps.EARLIEST),
      latest: await this.#offset(command, ListOffsetTimestamps.LATEST),
      at: at < 0 ? null : at
    }
  }

  async subscribe({ group, topic, strategy, instance }) {
    const consumer = new Consumer({
      ...this.#connection,
      groupId: group,
      maxWaitTime: 100,
      autocommit: false,
      ...(strategy === 'eager'
        ? { sessionTimeout: 10_000, rebalanceTimeout: 10_000, heartbeatInterval: 300 }
        : { groupProtocol: 'consumer', groupRemoteAssignor: strategy }),
      ...(instance === null ? {} : { groupInstanceId: instance })
    })
    const member = { consumer, topic, queue: new Queue(), next: new Map() }
    const stream = await consumer.consume({ topics: [topic], mode: 'committed', fallbackMode: 'earliest' })
    stream.on('data', message => member.queue.push(message))
    // An error that nobody hears of ends the program; polls show that nothing comes.
    stream.on('error', console.error)
    this.#member = member
  }

  #owned() {
    const { consumer, topic } = this.#member
    return consumer.assignments?.find(assignment => assignment.topic === topic)?.partitions ?? []
  }

  async poll({ ms }) {
    const messages = await this.#member.queue.all(ms)
    for (const { partition, offset } of messages) this.#member.next.set(partition, offset + 1n)
    return { records: messages.map(received), assigned: this.#owned() }
  }

  async commit() {
    const { consumer, topic, next } = this.#member
    const owned = this.#owned()
    const offsets = [...next]
      .filter(([partition]) => owned.includes(partition))
      .map(([partition, offset]) => ({ topic, partition, offset, leaderEpoch: -1 }))
    try {
      if (offsets.length > 0) await consumer.commit({ offsets })
      return { committed: owned.length > 0 }
    } catch (error) {
      if (error.findBy?.('needsRejoin', true)) return { committed: false }
      throw error
    }
  }

  async leave() {
    await this.commit()
    await this.#member.consumer.close(true)
    this.#member = undefined
  }

  async committed({ group, topic, partition }) {
    const groups = [{ groupId: group, topics: [{ name: topic, partitionIndexes: [partition] }] }]
    const [{ topics }] = await this.#admin.listConsumerGroupOffsets({ groups })
    const offset = Number(topics[0]?.partitions[0].committedOffset ?? -1)
    return { offset: offset < 0 ? null : offset }
  }

  async list_groups() {
    return { groups: [...(await this.#admin.listGroups()).keys()] }
  }

  async describe_group({ group }) {
    const { state, members } = (await this.#admin.describeGroups({ groups: [group] })).get(group)
    // The library spells the states in capitals with underscores.
    const word = part => part[0].toUpperCase() + part.slice(1).toLowerCase()
    return { state: state.split('_').map(word).join(''), members: members.size }
  }

  async delete_group({ group }) {
    await this.#admin.deleteGroups({ groups: [group] })
  }

  async describe_config({ topic, name }) {
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configurationKeys: [name] }
    const [{ configs }] = await this.#admin.describeConfigs({ resources: [resource] })
    return { value: configs[0]?.value ?? null }
  }

  async alter_config({ topic, name, value }) {
    const configs = [{ name, value, configOperation: IncrementalAlterConfigOperationTypes.SET }]
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs }
    await this.#admin.incrementalAlterConfigs({ resources: [resource] })
  }

  async delete_records({ topic, partition, offset }) {
    await this.#admin.deleteRecords({ topics: [{ name: topic, partitions: [{ partition, offset: BigInt(offset) }] }] })
  }

  async init_transactions({ transactional_id }) {
    await this.#producer?.close(true)
    this.#producer = new Producer({ ...this.#connection, idempotent: true, transactionalId: transactional_id })
    // The library asks for its producer id with the first transaction, and only then is an older producer fenced.
    // Without these it asks for a new epoch of producer 0, which the server gives to that one only.
    this.#first = await this.#producer.beginTransaction({ producerId: -1n, producerEpoch: -1 })
  }

  async begin() {
    this.#transaction = this.#first ?? (await this.#producer.beginTransaction())
    this.#first = undefined
  }

  async send(command) {
    await this.#transaction.send({ messages: messages(command), acks: -1 })
  }

  /** The library commits past a message that a member of the group has got: such a message is made. */
  async send_offsets({ group, topic, partition, offset }) {
    const consumer = new Consumer({ ...this.#connection, groupId: group })
    const coordinatorId = await consumer.findGroupCoordinator()
    await this.#transaction.addConsumer(consumer)
    const metadata = { consumer: { groupId: group, memberId: '', generationId: -1, coordinatorId } }
    await this.#transaction.addOffset({ topic, partition, offset: BigInt(offset) - 1n, metadata })
    await consumer.close()
  }

  async end({ commit }) {
    await (commit ? this.#transaction.commit() : this.#transaction.abort())
  }
}

const lacks = {
  'codec-zstd': 'takes zstd from Node, which has it since 22.15',
  'group-cooperative': 'its members give up all partitions in a rebalance'
}
const kindOf = error => Object.entries(KINDS).find(([code]) => hasCode(error, code))?.[1]
await serve({ name: '@platformatic/kafka', module: '@platformatic/kafka', lacks, kindOf }, new Client(process.argv[2]))
