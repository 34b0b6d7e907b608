import java.security.MessageDigest;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.*;

/**
 * Kafka Streams counts words exactly once: `WordCount BOOTSTRAP RECORDS MARKS STATE_DIRECTORY rocksdb|memory`. Lines of two
 * words are produced, counted with `exactly_once_v2`, and every committed count is read: each word's must go up by one each
 * time. Prints `mark` when a further part of the work is done, MARKS times in all, and at the end one line that begins with
 * a digest of the counts; exits with 1 when they are not what a plain loop counts, or when nothing goes on.
 */
public class WordCount {
    static final int PARTITIONS = 3;
    static final int WORDS_PER_LINE = 2;
    static final int VOCABULARY = 1_000;
    /** So far the producer may run ahead of the counts, so that a restart of the server hits it as well. */
    static final int LINES_AHEAD = 5_000;
    /** Nothing is counted for so long only when nothing will ever be. */
    static final long PATIENCE_MS = 120_000;

    static String bootstrap;
    static int records;
    static final Semaphore window = new Semaphore(LINES_AHEAD);
    static final AtomicInteger threadsReplaced = new AtomicInteger();
    static final Queue<String> failures = new ConcurrentLinkedQueue<>();

    static Map<String, Object> settings(Map<String, Object> more) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "reconnect.backoff.ms", 10, "reconnect.backoff.max.ms", 50));
        all.putAll(more);
        return all;
    }

    /** The same lines in every run; some words are much more frequent than others. */
    static Iterator<String> lines() {
        Random random = new Random(7);
        return new Iterator<>() {
            int given;
            public boolean hasNext() { return given < records; }
            public String next() {
                given++;
                return word() + " " + word();
            }
            private String word() {
                double x = random.nextDouble();
                return "word" + (int) (VOCABULARY * x * x * x);
            }
        };
    }

    static Map<String, Long> plainCounts() {
        Map<String, Long> counts = new TreeMap<>();
        lines().forEachRemaining(line -> {
            for (String word : line.split(" ")) counts.merge(word, 1L, Long::sum);
        });
        return counts;
    }

    static void produce() {
        Map<String, Object> writing = settings(Map.of("acks", "all", "delivery.timeout.ms", 600_000, "request.timeout.ms", 5_000, "linger.ms", 2));
        try (KafkaProducer<Integer, String> producer = new KafkaProducer<>(writing, new IntegerSerializer(), new StringSerializer())) {
            int number = 0;
            for (Iterator<String> lines = lines(); lines.hasNext(); number++) {
                window.acquire();
                producer.send(new ProducerRecord<>("lines", number % PARTITIONS, number, lines.next()), (where, error) -> {
                    if (error != null) failures.add("a line was not produced: " + error);
                });
            }
        } catch (Exception error) {
            failures.add("the producer failed: " + error);
        }
    }

    static KafkaStreams counting(String directory, String store) {
        KeyValueBytesStoreSupplier supplier = store.equals("memory") ? Stores.inMemoryKeyValueStore("counted") : Stores.persistentKeyValueStore("counted");
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream("lines", Consumed.with(Serdes.Integer(), Serdes.String()))
            .flatMapValues(line -> Arrays.asList(line.split(" ")))
            .groupBy((number, word) -> word, Grouped.with(Serdes.String(), Serdes.String()))
            .count(Materialized.<String, Long>as(supplier).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()).withCachingDisabled())
            .toStream().to("counts", Produced.with(Serdes.String(), Serdes.Long()));
        Properties settings = new Properties();
        settings.putAll(settings(Map.of("application.id", "word-count", "processing.guarantee", "exactly_once_v2", "state.dir", directory,
            "num.stream.threads", 2, "request.timeout.ms", 5_000)));
        // A thread that is replaced does not leave the group: its successor waits for its session to end.
        settings.putAll(Map.of("consumer.session.timeout.ms", 6_000, "consumer.heartbeat.interval.ms", 500));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        streams.setUncaughtExceptionHandler(error -> {
            threadsReplaced.incrementAndGet();
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        return streams;
    }

    /** Reads the counts as readers of committed records see them. */
    static class Counts implements AutoCloseable {
        final KafkaConsumer<String, Long> consumer;
        final List<TopicPartition> partitions = new ArrayList<>();
        final Map<String, Long> counts = new TreeMap<>();
        long read;

        Counts() {
            consumer = new KafkaConsumer<>(settings(Map.of("isolation.level", "read_committed", "max.poll.records", 1_000)), new StringDeserializer(), new LongDeserializer());
            for (int i = 0; i < PARTITIONS; i++) partitions.add(new TopicPartition("counts", i));
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
        }

        int poll() {
            ConsumerRecords<String, Long> records = consumer.poll(Duration.ofMillis(200));
            for (ConsumerRecord<String, Long> record : records) {
                Long before = counts.put(record.key(), record.value());
                if (record.value() != (before == null ? 1 : before + 1))
                    failures.add(record.key() + " went from " + before + " to " + record.value() + " at " + record.partition() + "/" + record.offset());
            }
            read += records.count();
            return records.count();
        }

        /** Reads what is there: nothing must be left when all was counted. */
        void pollToTheEnd() {
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) poll();
        }

        public void close() { consumer.close(); }
    }

    static void readAll(Counts counts, int marks) {
        long total = (long) records * WORDS_PER_LINE;
        long deadline = System.currentTimeMillis() + PATIENCE_MS;
        int marked = 0;
        while (counts.read < total && failures.isEmpty()) {
            long linesBefore = counts.read / WORDS_PER_LINE;
            if (counts.poll() > 0) deadline = System.currentTimeMillis() + PATIENCE_MS;
            window.release((int) (counts.read / WORDS_PER_LINE - linesBefore));
            if (marked < marks && counts.read >= total * (marked + 1) / (marks + 1)) {
                marked++;
                System.out.println("mark");
            }
            if (System.currentTimeMillis() > deadline) failures.add("nothing was counted for " + PATIENCE_MS + " ms");
        }
    }

    static String digest(Map<String, Long> counts) throws Exception {
        byte[] hash = MessageDigest.getInstance("SHA-256").digest(counts.toString().getBytes());
        return HexFormat.of().formatHex(hash, 0, 8);
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        records = Integer.parseInt(arguments[1]);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic("lines", PARTITIONS, (short) 1), new NewTopic("counts", PARTITIONS, (short) 1))).all().get();
        }
        long began = System.currentTimeMillis();
        Thread producing = new Thread(WordCount::produce);
        producing.setDaemon(true);
        producing.start();
        Map<String, Long> expected = plainCounts();
        KafkaStreams streams = counting(arguments[3], arguments[4]);
        streams.start();
        try (Counts counts = new Counts()) {
            readAll(counts, Integer.parseInt(arguments[2]));
            streams.close(Duration.ofSeconds(30));
            if (failures.isEmpty()) counts.pollToTheEnd();
            if (!counts.counts.equals(expected)) failures.add("the counts differ from those of a plain loop, " + digest(expected));
            failures.stream().limit(20).forEach(failure -> System.out.println("FAILURE " + failure));
            System.out.println(digest(counts.counts) + " of " + counts.read + " counted words in " + records + " records, " + counts.counts.size()
                + " different ones, " + threadsReplaced + " threads replaced, " + (System.currentTimeMillis() - began) / 1000 + " s");
        }
        System.exit(failures.isEmpty() ? 0 : 1);
    }
}
