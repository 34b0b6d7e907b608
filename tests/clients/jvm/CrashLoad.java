import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * Load for a server that is killed again and again, and the checker of what must still be true:
 * `CrashLoad BOOTSTRAP`. Idempotent producers and two groups work until standard input ends; then the whole history is
 * read back. Prints `loaded` when the load runs and one line with the figures at the end; exits with 1 on a violation.
 */
public class CrashLoad {
    static final int PARTITIONS = 3;
    static final int PRODUCERS = 4;
    static final int MEMBERS_PER_GROUP = 2;
    static final List<String> GROUPS = List.of("crash-a", "crash-b");
    static final String TOPIC = "crash-history";

    static String bootstrap;
    static final AtomicBoolean stopping = new AtomicBoolean();
    static final Queue<String> violations = new ConcurrentLinkedQueue<>();
    static final AtomicLong commits = new AtomicLong();

    record Acknowledged(int partition, long offset) { }

    /** One idempotent producer: numbers its records, keeps what was acknowledged where. */
    static class Producing extends Thread {
        final int id;
        final Map<Long, Acknowledged> acknowledged = new ConcurrentHashMap<>();
        long sent;

        Producing(int id) {
            this.id = id;
            start();
        }

        public void run() {
            Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "acks", "all", "enable.idempotence", true,
                "delivery.timeout.ms", 600_000, "request.timeout.ms", 5_000, "linger.ms", 1, "reconnect.backoff.ms", 10,
                "reconnect.backoff.max.ms", 50, "retry.backoff.ms", 10, "retry.backoff.max.ms", 50);
            Semaphore window = new Semaphore(500);
            try (KafkaProducer<String, String> producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
                while (!stopping.get()) {
                    window.acquire();
                    long number = sent++;
                    producer.send(new ProducerRecord<>(TOPIC, id % PARTITIONS, "p" + id, id + ":" + number), (where, error) -> {
                        window.release();
                        if (error != null) violations.add("producer " + id + " record " + number + " failed: " + error);
                        else acknowledged.put(number, new Acknowledged(where.partition(), where.offset()));
                    });
                    Thread.sleep(0, 200_000);
                }
                producer.flush();
            } catch (Exception error) {
                violations.add("producer " + id + " failed: " + error);
            }
        }
    }

    /** The greatest offset of each partition that a group was told to be committed. */
    static final Map<String, Map<Integer, Long>> committed = new ConcurrentHashMap<>();

    /** A member of a group: reads, commits by hand, and checks that commits never go back. */
    static class Reading extends Thread implements ConsumerRebalanceListener {
        final String group;
        KafkaConsumer<String, String> consumer;

        Reading(String group) {
            this.group = group;
            start();
        }

        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            for (TopicPartition partition : partitions) {
                long known = committed.get(group).getOrDefault(partition.partition(), 0L);
                long position = consumer.position(partition);
                if (position < known)
                    violations.add(group + " starts " + partition + " at " + position + " below its commit " + known);
            }
        }

        public void onPartitionsRevoked(Collection<TopicPartition> partitions) { }

        public void run() {
            Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap, "group.id", group, "auto.offset.reset", "earliest",
                "enable.auto.commit", false, "session.timeout.ms", 10_000, "heartbeat.interval.ms", 300,
                "reconnect.backoff.ms", 10, "reconnect.backoff.max.ms", 50, "retry.backoff.ms", 10);
            try (KafkaConsumer<String, String> opened = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
                consumer = opened;
                consumer.subscribe(List.of(TOPIC), this);
                while (!stopping.get()) {
                    Map<TopicPartition, OffsetAndMetadata> positions = new HashMap<>();
                    for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(50)))
                        positions.put(new TopicPartition(TOPIC, record.partition()), new OffsetAndMetadata(record.offset() + 1));
                    if (!positions.isEmpty()) commit(positions);
                }
            } catch (Exception error) {
                violations.add(group + " failed: " + error);
            }
        }

        void commit(Map<TopicPartition, OffsetAndMetadata> positions) {
            try {
                consumer.commitSync(positions, Duration.ofSeconds(30));
            } catch (CommitFailedException | org.apache.kafka.common.errors.RetriableException lost) {
                return; // lost to a rebalance: nothing was acknowledged
            }
            commits.incrementAndGet();
            positions.forEach((partition, offset) -> committed.get(group).merge(partition.partition(), offset.offset(), Math::max));
        }
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(TOPIC, PARTITIONS, (short) 1))).all().get();
        }
        List<Producing> producers = new ArrayList<>();
        for (int i = 0; i < PRODUCERS; i++) producers.add(new Producing(i));
        List<Reading> readers = new ArrayList<>();
        for (String group : GROUPS) {
            committed.put(group, new ConcurrentHashMap<>());
            for (int i = 0; i < MEMBERS_PER_GROUP; i++) readers.add(new Reading(group));
        }
        System.out.println("loaded");
        while (System.in.read() >= 0) { }
        stopping.set(true);
        for (Producing producer : producers) producer.join(120_000);
        for (Reading reader : readers) reader.join(120_000);
        check(producers);
        long total = producers.stream().mapToLong(p -> p.acknowledged.size()).sum();
        violations.stream().limit(20).forEach(v -> System.out.println("VIOLATION " + v));
        System.out.println("acknowledged " + total + " records and " + commits + " commits, " + violations.size() + " violations");
        System.exit(violations.isEmpty() ? 0 : 1);
    }

    /** Reads the whole history: every acknowledged record is at its offset, once, in order, without a gap. */
    static void check(List<Producing> producers) throws Exception {
        Map<Integer, Long> next = new HashMap<>();
        Map<TopicPartition, OffsetAndMetadata> last;
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            for (String group : GROUPS) {
                last = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
                for (Map.Entry<Integer, Long> entry : committed.get(group).entrySet()) {
                    OffsetAndMetadata found = last.get(new TopicPartition(TOPIC, entry.getKey()));
                    if (found == null || found.offset() < entry.getValue())
                        violations.add(group + " partition " + entry.getKey() + " committed " + entry.getValue() + " but has " + found);
                }
            }
        }
        Map<Integer, Map<Long, Acknowledged>> found = new HashMap<>();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap), new StringDeserializer(), new StringDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int p = 0; p < PARTITIONS; p++) partitions.add(new TopicPartition(TOPIC, p));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(p -> consumer.position(p) < ends.get(p))) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                    String[] parts = record.value().split(":");
                    int producer = Integer.parseInt(parts[0]);
                    long number = Long.parseLong(parts[1]);
                    long expected = next.getOrDefault(producer, 0L);
                    if (number != expected)
                        violations.add("producer " + producer + ": record " + number + " at " + record.partition() + "/" + record.offset() + " where " + expected + " was due");
                    next.put(producer, number + 1);
                    found.computeIfAbsent(producer, p -> new HashMap<>()).put(number, new Acknowledged(record.partition(), record.offset()));
                }
            }
        }
        for (Producing producer : producers)
            for (Map.Entry<Long, Acknowledged> entry : producer.acknowledged.entrySet()) {
                Acknowledged where = found.getOrDefault(producer.id, Map.of()).get(entry.getKey());
                if (!entry.getValue().equals(where))
                    violations.add("producer " + producer.id + " record " + entry.getKey() + " acknowledged at " + entry.getValue() + " is at " + where);
            }
    }
}
