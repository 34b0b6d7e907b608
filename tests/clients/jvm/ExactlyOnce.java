import java.time.Duration;
import java.util.*;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/**
 * Copies a topic in transactions while the server is killed again and again: `ExactlyOnce BOOTSTRAP classic|consumer [REPLICATION]`. Numbers are produced
 * and copied until standard input ends; then the copy must hold every acknowledged number exactly once. Prints `loaded`
 * when it runs and one line with the figures at the end; exits with 1 when a number is missing or doubled.
 */
public class ExactlyOnce {
    static final int PARTITIONS = 3;
    static final int COPIERS = 2;
    static final long PATIENCE_MS = 120_000;
    static String bootstrap;
    static String protocol;
    static final AtomicBoolean stopping = new AtomicBoolean();
    static final AtomicBoolean done = new AtomicBoolean();
    static final AtomicLong transactions = new AtomicLong();
    static final AtomicLong aborted = new AtomicLong();
    static final Set<Long> acknowledged = Collections.synchronizedSet(new TreeSet<>());
    static final Queue<String> failures = new ConcurrentLinkedQueue<>();

    static Map<String, Object> settings(Map<String, Object> more) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "reconnect.backoff.ms", 10, "reconnect.backoff.max.ms", 50,
            "retry.backoff.ms", 10, "retry.backoff.max.ms", 50, "request.timeout.ms", 5_000));
        all.putAll(more);
        return all;
    }

    static void produce() {
        try (KafkaProducer<Long, Long> producer = new KafkaProducer<>(settings(Map.of("acks", "all", "delivery.timeout.ms", 600_000, "linger.ms", 1)), new LongSerializer(), new LongSerializer())) {
            Semaphore window = new Semaphore(200);
            for (long next = 0; !stopping.get(); next++) {
                long number = next;
                window.acquire();
                producer.send(new ProducerRecord<>("numbers", (int) (number % PARTITIONS), number, number), (where, error) -> {
                    window.release();
                    if (error == null) acknowledged.add(number);
                    else failures.add("number " + number + " failed: " + error);
                });
                Thread.sleep(0, 300_000);
            }
            producer.flush();
        } catch (Exception error) {
            failures.add("the producer failed: " + error);
        }
    }

    /** Goes back to where the last committed transaction ended. */
    static void rewind(KafkaConsumer<Long, Long> consumer) {
        Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(consumer.assignment());
        for (TopicPartition partition : consumer.assignment()) {
            OffsetAndMetadata offset = committed.get(partition);
            if (offset == null) consumer.seekToBeginning(List.of(partition));
            else consumer.seek(partition, offset.offset());
        }
    }

    static void copy(int copier) {
        Map<String, Object> reading = settings(Map.of("group.id", "copiers", "isolation.level", "read_committed", "enable.auto.commit", false,
            "auto.offset.reset", "earliest", "max.poll.records", 200, "group.protocol", protocol));
        // Under the consumer protocol the server says these.
        if (protocol.equals("classic")) reading.putAll(Map.of("session.timeout.ms", 10_000, "heartbeat.interval.ms", 500));
        Map<String, Object> writing = settings(Map.of("transactional.id", "copier-" + copier, "transaction.timeout.ms", 20_000, "linger.ms", 1));
        Random random = new Random(copier);
        try (KafkaConsumer<Long, Long> consumer = new KafkaConsumer<>(reading, new LongDeserializer(), new LongDeserializer())) {
            consumer.subscribe(List.of("numbers"));
            while (!done.get()) {
                try (KafkaProducer<Long, Long> producer = new KafkaProducer<>(writing, new LongSerializer(), new LongSerializer())) {
                    producer.initTransactions();
                    rewind(consumer);
                    while (!done.get()) copyOnce(consumer, producer, random);
                } catch (KafkaException | IllegalStateException error) {
                    // Fenced, or given up on, or a partition went away between two calls, as it may with groups of the
                    // consumer protocol: the next producer with the same id goes on at what is committed.
                    aborted.incrementAndGet();
                }
            }
        } catch (Exception error) {
            failures.add("copier " + copier + " failed: " + error);
        }
    }

    static void copyOnce(KafkaConsumer<Long, Long> consumer, KafkaProducer<Long, Long> producer, Random random) {
        ConsumerRecords<Long, Long> records = consumer.poll(Duration.ofMillis(100));
        if (records.isEmpty()) return;
        producer.beginTransaction();
        try {
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            for (ConsumerRecord<Long, Long> record : records) {
                producer.send(new ProducerRecord<>("copies", record.partition(), record.key(), record.value()));
                offsets.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
            }
            producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
            if (random.nextInt(10) == 0) {
                producer.abortTransaction();
                aborted.incrementAndGet();
                rewind(consumer);
                return;
            }
        } catch (org.apache.kafka.clients.consumer.CommitFailedException error) {
            producer.abortTransaction();
            aborted.incrementAndGet();
            rewind(consumer);
            return;
        }
        producer.commitTransaction();
        transactions.incrementAndGet();
    }

    /** How often each number stands in the copy, as readers of committed records see it. */
    static Map<Long, Integer> copies() {
        Map<Long, Integer> counts = new TreeMap<>();
        try (KafkaConsumer<Long, Long> consumer = new KafkaConsumer<>(settings(Map.of("isolation.level", "read_committed")), new LongDeserializer(), new LongDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (int i = 0; i < PARTITIONS; i++) partitions.add(new TopicPartition("copies", i));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (ConsumerRecord<Long, Long> record : consumer.poll(Duration.ofMillis(200))) counts.merge(record.value(), 1, Integer::sum);
            }
        }
        return counts;
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        protocol = arguments[1];
        short replication = arguments.length > 2 ? Short.parseShort(arguments[2]) : 1;
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic("numbers", PARTITIONS, replication), new NewTopic("copies", PARTITIONS, replication))).all().get();
        }
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < COPIERS; i++) {
            int copier = i;
            threads.add(new Thread(() -> copy(copier)));
        }
        Thread producer = new Thread(ExactlyOnce::produce);
        producer.start();
        threads.forEach(Thread::start);
        while (transactions.get() < 3) Thread.sleep(10);
        System.out.println("loaded");
        while (System.in.read() >= 0) { }
        stopping.set(true);
        producer.join();
        // The copiers finish; when nothing more comes for so long, what they have not copied never will be.
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        Map<Long, Integer> counts = copies();
        while (counts.size() < acknowledged.size() && System.currentTimeMillis() < deadline) {
            Thread.sleep(200);
            int before = counts.size();
            counts = copies();
            if (counts.size() > before) deadline = System.currentTimeMillis() + PATIENCE_MS;
        }
        done.set(true);
        for (Thread thread : threads) thread.join();
        counts = copies();
        long missing = 0;
        for (long number : acknowledged) if (!counts.containsKey(number)) missing++;
        long doubled = counts.values().stream().filter(count -> count > 1).count();
        System.out.println(acknowledged.size() + " numbers, " + transactions + " transactions committed, " + aborted + " given up, "
            + missing + " missing, " + doubled + " doubled, failures " + failures);
        System.exit(missing == 0 && doubled == 0 && failures.isEmpty() ? 0 : 1);
    }
}
