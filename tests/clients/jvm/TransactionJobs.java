import java.time.Duration;
import java.util.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.serialization.*;

/** What the Java client does in transactions: `TransactionJobs BOOTSTRAP`. Ends with an exception when something is not as it should be. */
public class TransactionJobs {
    static String bootstrap;

    static KafkaProducer<String, String> producer(String id, int timeoutMs) {
        return new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap, "transactional.id", id, "transaction.timeout.ms", timeoutMs,
            "retry.backoff.ms", 10, "retry.backoff.max.ms", 100), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(String group, String isolation) {
        return new KafkaConsumer<>(Map.of("bootstrap.servers", bootstrap, "group.id", group, "auto.offset.reset", "earliest",
            "isolation.level", isolation, "enable.auto.commit", false), new StringDeserializer(), new StringDeserializer());
    }

    static void check(boolean holds, String what) {
        if (!holds) throw new AssertionError(what);
    }

    /** All values of partition 0, up to the end that this isolation shows. */
    static List<String> read(String topic, String isolation) {
        try (KafkaConsumer<String, String> consumer = consumer("reader", isolation)) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.seekToBeginning(List.of(partition));
            long end = consumer.endOffsets(List.of(partition)).get(partition);
            List<String> values = new ArrayList<>();
            long deadline = System.currentTimeMillis() + 20_000;
            while (consumer.position(partition) < end) {
                check(System.currentTimeMillis() < deadline, "the end of " + topic + " is not reached: " + values);
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) values.add(record.value());
            }
            return values;
        }
    }

    static void commitAndAbort(String topic) {
        try (KafkaProducer<String, String> producer = producer("commit-and-abort", 60_000)) {
            producer.initTransactions();
            List<String> committed = new ArrayList<>();
            List<String> all = new ArrayList<>();
            for (int round = 0; round < 12; round++) {
                producer.beginTransaction();
                for (int i = 0; i < 10; i++) {
                    producer.send(new ProducerRecord<>(topic, 0, "k", round + "-" + i));
                    all.add(round + "-" + i);
                }
                producer.flush();
                if (round % 3 == 1) producer.abortTransaction();
                else {
                    producer.commitTransaction();
                    for (int i = 0; i < 10; i++) committed.add(round + "-" + i);
                }
            }
            // A transaction with nothing in it ends too.
            producer.beginTransaction();
            producer.commitTransaction();
            producer.beginTransaction();
            producer.abortTransaction();
            check(read(topic, "read_committed").equals(committed), "committed records, in their order");
            check(read(topic, "read_uncommitted").equals(all), "all records, in their order");
            // What is open holds the last stable offset back.
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, "k", "open"));
            producer.flush();
            check(read(topic, "read_committed").equals(committed), "no record of an open transaction");
            producer.commitTransaction();
            committed.add("open");
            check(read(topic, "read_committed").equals(committed), "the record of the committed transaction");
        }
    }

    static void zombie(String topic) {
        KafkaProducer<String, String> zombie = producer("zombie", 60_000);
        zombie.initTransactions();
        zombie.beginTransaction();
        zombie.send(new ProducerRecord<>(topic, 0, "k", "zombie"));
        zombie.flush();
        try (KafkaProducer<String, String> successor = producer("zombie", 60_000)) {
            successor.initTransactions();
            successor.beginTransaction();
            successor.send(new ProducerRecord<>(topic, 0, "k", "successor"));
            boolean fenced = false;
            try {
                zombie.commitTransaction();
            } catch (ProducerFencedException | InvalidProducerEpochException error) {
                fenced = true;
            }
            check(fenced, "a zombie is fenced");
            successor.commitTransaction();
        }
        zombie.close(Duration.ZERO);
        List<String> values = read(topic, "read_committed");
        check(values.contains("successor") && !values.contains("zombie"), "the successor's record only: " + values);
    }

    static void copies(String from, String to) {
        List<String> wanted = read(from, "read_committed");
        try (KafkaConsumer<String, String> consumer = consumer("copies", "read_committed");
             KafkaProducer<String, String> producer = producer("copies", 60_000)) {
            consumer.subscribe(List.of(from));
            producer.initTransactions();
            int copied = 0;
            int round = 0;
            long deadline = System.currentTimeMillis() + 30_000;
            while (copied < wanted.size()) {
                check(System.currentTimeMillis() < deadline, copied + " of " + wanted.size() + " copied");
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofMillis(200));
                if (records.isEmpty()) continue;
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
                producer.beginTransaction();
                for (ConsumerRecord<String, String> record : records) {
                    producer.send(new ProducerRecord<>(to, 0, record.key(), record.value()));
                    offsets.put(new TopicPartition(record.topic(), record.partition()), new OffsetAndMetadata(record.offset() + 1));
                }
                producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                // The first attempt is in vain: its offsets are forgotten with it.
                if (round++ == 0) {
                    producer.abortTransaction();
                    for (TopicPartition partition : offsets.keySet()) {
                        check(consumer.committed(Set.of(partition)).get(partition) == null, "an aborted commit counts");
                        consumer.seekToBeginning(List.of(partition));
                    }
                } else {
                    producer.commitTransaction();
                    copied += records.count();
                    for (Map.Entry<TopicPartition, OffsetAndMetadata> offset : offsets.entrySet()) {
                        OffsetAndMetadata now = consumer.committed(Set.of(offset.getKey())).get(offset.getKey());
                        check(now != null && now.offset() == offset.getValue().offset(), "a committed offset counts");
                    }
                }
            }
        }
        check(read(to, "read_committed").equals(wanted), "every record once");
    }

    static void tools(Admin admin, String topic) throws Exception {
        try (KafkaProducer<String, String> producer = producer("looked-at", 60_000)) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, "k", "looked at")).get();
            TransactionDescription open = admin.describeTransactions(List.of("looked-at")).description("looked-at").get();
            check(open.state() == TransactionState.ONGOING && open.topicPartitions().equals(Set.of(new TopicPartition(topic, 0))), "" + open);
            Collection<TransactionListing> listed = admin.listTransactions(new ListTransactionsOptions().filterStates(Set.of(TransactionState.ONGOING))).all().get();
            check(listed.size() == 1, "" + listed);
            TopicPartition partition = new TopicPartition(topic, 0);
            List<ProducerState> producers = admin.describeProducers(List.of(partition)).partitionResult(partition).get().activeProducers();
            check(producers.stream().anyMatch(state -> state.producerId() == open.producerId() && state.currentTransactionStartOffset().isPresent()), "" + producers);
            // An administrator ends it in the partition.
            admin.fenceProducers(List.of("looked-at")).all().get();
            boolean fenced = false;
            try {
                producer.commitTransaction();
            } catch (ProducerFencedException | InvalidProducerEpochException error) {
                fenced = true;
            }
            check(fenced, "a producer that an administrator has fenced");
        }
        long deadline = System.currentTimeMillis() + 20_000;
        while (admin.describeTransactions(List.of("looked-at")).description("looked-at").get().state() != TransactionState.EMPTY) {
            check(System.currentTimeMillis() < deadline, "the fenced transaction never ends");
            Thread.sleep(50);
        }
    }

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            List<NewTopic> topics = new ArrayList<>();
            for (String name : List.of("first", "second", "third", "fourth")) topics.add(new NewTopic(name, 1, (short) 1));
            admin.createTopics(topics).all().get();
            commitAndAbort("first");
            zombie("second");
            copies("first", "third");
            tools(admin, "fourth");
        }
        System.out.println("done");
    }
}
