import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.*;

/** What only Apache Kafka's own Java client is asked for, beside the jobs of all clients: `ClientJobs BOOTSTRAP [JOB ...]`. */
public class ClientJobs {
    static final long DEADLINE_SECONDS = 60;
    static String bootstrap;
    static Admin admin;

    interface Job { void run() throws Exception; }

    public static void main(String[] args) {
        bootstrap = args[0];
        Map<String, Job> jobs = new LinkedHashMap<>();
        jobs.put("group-rolling", ClientJobs::rollingMigration);
        jobs.put("admin", ClientJobs::adminCalls);
        Collection<String> names = args.length > 1 ? Arrays.asList(args).subList(1, args.length) : jobs.keySet();
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap));
        int failed = 0;
        for (String name : names) {
            long start = System.nanoTime();
            try {
                jobs.get(name).run();
                System.out.printf(Locale.ROOT, "ok   %s %.1f s%n", name, (System.nanoTime() - start) / 1e9);
            } catch (Throwable error) {
                failed++;
                System.out.println("FAIL " + name + ": " + error);
                error.printStackTrace();
            }
        }
        admin.close();
        System.exit(failed);
    }

    static void check(boolean condition, String what) {
        if (!condition) throw new AssertionError(what);
    }

    static void waitUntil(String what, BooleanSupplier condition) throws InterruptedException {
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(DEADLINE_SECONDS);
        while (!condition.getAsBoolean()) {
            check(System.nanoTime() < end, "timed out waiting until " + what);
            Thread.sleep(50);
        }
    }

    static String unique(String name) {
        return name + "-" + UUID.randomUUID().toString().substring(0, 8);
    }

    static int partitions(String topic) {
        try {
            return admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
        } catch (Exception error) {
            return 0;
        }
    }

    static void createTopic(String topic, int partitions) throws Exception {
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        waitUntil("the topic is seen", () -> partitions(topic) == partitions);
    }

    static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    static KafkaProducer<byte[], byte[]> producer(String codec) {
        return new KafkaProducer<>(Map.of("bootstrap.servers", bootstrap, "compression.type", codec,
            "max.request.size", 2_000_000, "linger.ms", 2), new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** Who has which partition of a topic, as the members are told, and what was with two at once. */
    static final Map<String, Member> OWNERS = new ConcurrentHashMap<>();
    static final Set<String> DOUBLED = ConcurrentHashMap.newKeySet();

    static class Member extends Thread implements ConsumerRebalanceListener {
        final KafkaConsumer<String, String> consumer;
        final Set<Integer> owned = ConcurrentHashMap.newKeySet();
        final Collection<String> seen;
        final AtomicBoolean stopping = new AtomicBoolean();
        volatile boolean commitWanted;
        volatile Throwable error;

        Member(String topic, String group, String assignor, Collection<String> seen) {
            this.seen = seen;
            Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "group.id", group,
                "auto.offset.reset", "earliest", "enable.auto.commit", true));
            // The assignors of the server have no classes here (KIP-848).
            settings.putAll(assignor.contains(".")
                ? Map.of("partition.assignment.strategy", assignor, "session.timeout.ms", 10_000, "heartbeat.interval.ms", 300)
                : Map.of("group.protocol", "consumer", "group.remote.assignor", assignor));
            consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
            consumer.subscribe(List.of(topic), this);
            start();
        }

        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            for (TopicPartition p : partitions) {
                owned.add(p.partition());
                Member other = OWNERS.put(p.toString(), this);
                if (other != null && other != this) DOUBLED.add(p.toString());
            }
        }

        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            for (TopicPartition p : partitions) {
                owned.remove(p.partition());
                OWNERS.remove(p.toString(), this);
            }
        }

        public void run() {
            try {
                while (!stopping.get()) {
                    for (ConsumerRecord<String, String> r : consumer.poll(Duration.ofMillis(100))) seen.add(r.value());
                    if (commitWanted && committed()) commitWanted = false;
                }
                committed();
                consumer.close();
            } catch (Throwable failure) {
                error = failure;
            }
        }

        /** A commit may meet a rebalance, and is then lost. */
        boolean committed() {
            try {
                consumer.commitSync();
                return true;
            } catch (org.apache.kafka.common.KafkaException lost) {
                return false;
            }
        }

        void finish() throws Exception {
            stopping.set(true);
            join(TimeUnit.SECONDS.toMillis(DEADLINE_SECONDS));
            check(!isAlive(), "a member did not stop");
            if (error != null) throw new AssertionError("a member failed", error);
        }
    }

    static boolean covers(List<Member> members, int partitions) {
        List<Integer> all = new ArrayList<>();
        for (Member member : members) {
            if (member.owned.isEmpty()) return false;
            all.addAll(member.owned);
        }
        Collections.sort(all);
        List<Integer> want = new ArrayList<>();
        for (int i = 0; i < partitions; i++) want.add(i);
        return all.equals(want);
    }

    static Set<String> send(String topic, String prefix, int count) throws Exception {
        Set<String> values = new TreeSet<>();
        try (KafkaProducer<byte[], byte[]> producer = producer("lz4")) {
            for (int i = 0; i < count; i++) {
                values.add(prefix + i);
                producer.send(new ProducerRecord<>(topic, bytes("k" + i), bytes(prefix + i)));
            }
        }
        return values;
    }

    /** A group's members are replaced one by one by members of the other protocol, and back, while records come. */
    static void rollingMigration() throws Exception {
        String topic = unique("rolling");
        String group = unique("group");
        createTopic(topic, 6);
        Collection<String> seen = new ConcurrentLinkedQueue<>();
        String classic = RangeAssignor.class.getName();
        List<Member> members = new ArrayList<>();
        for (int i = 0; i < 3; i++) members.add(new Member(topic, group, classic, seen));
        waitUntil("three members own six partitions", () -> covers(members, 6));
        Set<String> sent = new TreeSet<>();
        List<String> assignors = List.of("uniform", "uniform", "uniform", classic, classic, classic);
        for (int i = 0; i < assignors.size(); i++) {
            members.remove(0).finish();
            members.add(new Member(topic, group, assignors.get(i), seen));
            waitUntil("three members of both protocols own six partitions", () -> covers(members, 6));
            sent.addAll(send(topic, "step-" + i + "-", 60));
            waitUntil("the records are read", () -> new TreeSet<>(seen).equals(sent));
        }
        check(DOUBLED.isEmpty(), "partitions were with two members at once: " + DOUBLED);
        for (Member member : members) member.commitWanted = true;
        waitUntil("the members have committed", () -> members.stream().noneMatch(m -> m.commitWanted));
        for (Member member : members) member.finish();
        Set<String> last = send(topic, "last-", 1);
        Collection<String> again = new ConcurrentLinkedQueue<>();
        Member late = new Member(topic, group, classic, again);
        waitUntil("the last record is read", () -> !again.isEmpty());
        late.finish();
        check(new TreeSet<>(again).equals(last), "the group did not go on at its commit: " + again);
        admin.deleteTopics(List.of(topic)).all().get();
    }

    /** The admin calls of a single node, as a dashboard makes them. */
    static void adminCalls() throws Exception {
        DescribeClusterResult cluster = admin.describeCluster();
        check(cluster.nodes().get().size() == 1, "one node");
        check(!cluster.clusterId().get().isEmpty(), "a cluster id");
        String topic = unique("admin");
        createTopic(topic, 2);
        var resource = new org.apache.kafka.common.config.ConfigResource(org.apache.kafka.common.config.ConfigResource.Type.TOPIC, topic);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "60000"), AlterConfigOp.OpType.SET)))).all().get();
        waitUntil("the setting is seen", () -> {
            try {
                ConfigEntry entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms");
                return entry.value().equals("60000") && entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG;
            } catch (Exception error) {
                return false;
            }
        });
        send(topic, "x", 100);
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        for (int p = 0; p < 2; p++) latest.put(new TopicPartition(topic, p), OffsetSpec.latest());
        long total = admin.listOffsets(latest).all().get().values().stream().mapToLong(o -> o.offset()).sum();
        check(total == 100, "100 records, not " + total);
        TopicPartition zero = new TopicPartition(topic, 0);
        long half = admin.listOffsets(Map.of(zero, OffsetSpec.latest())).all().get().get(zero).offset() / 2;
        check(admin.deleteRecords(Map.of(zero, RecordsToDelete.beforeOffset(half))).all().get() == null, "records deleted");
        check(admin.listOffsets(Map.of(zero, OffsetSpec.earliest())).all().get().get(zero).offset() == half, "the log starts at " + half);
        String group = unique("admin-group");
        admin.alterConsumerGroupOffsets(group, Map.of(zero, new OffsetAndMetadata(half, "note"))).all().get();
        OffsetAndMetadata committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(zero);
        check(committed.offset() == half && committed.metadata().equals("note"), "the committed offset: " + committed);
        check(admin.listGroups().all().get().stream().anyMatch(g -> g.groupId().equals(group)), "the group is listed");
        admin.deleteConsumerGroupOffsets(group, Set.of(zero)).all().get();
        admin.deleteTopics(List.of(topic)).all().get();
    }
}
