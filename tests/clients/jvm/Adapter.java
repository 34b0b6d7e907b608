import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

/**
 * The adapter for Apache Kafka's Java client: `Adapter BOOTSTRAP`. It is compiled against the newest release and the oldest
 * one that servers still speak with; where they differ stands in `Dialect`, which each of them has its own of.
 */
public class Adapter {
    static final ObjectMapper JSON = new ObjectMapper();

    /** By the names of classes: the oldest release does not have all of them. */
    static final Map<String, String> KINDS = Map.of(
        "ProducerFencedException", "fenced", "InvalidProducerEpochException", "fenced",
        "TopicExistsException", "exists", "UnknownTopicOrPartitionException", "unknown_topic",
        "InvalidConfigurationException", "invalid_config", "InvalidRequestException", "invalid_config",
        "GroupNotEmptyException", "not_empty");

    final String bootstrap;
    final AdminClient admin;
    KafkaConsumer<byte[], byte[]> member;
    KafkaProducer<byte[], byte[]> transactional;

    Adapter(String bootstrap) {
        this.bootstrap = bootstrap;
        admin = AdminClient.create(settings());
    }

    public static void main(String[] args) throws IOException {
        PrintStream answers = System.out;
        // What a library prints must not get between the answers.
        System.setOut(System.err);
        Adapter adapter = new Adapter(args[0]);
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            ObjectNode answer = JSON.createObjectNode();
            try {
                answer.set("ok", adapter.work(JSON.readTree(line)));
            } catch (Exception error) {
                Throwable cause = error instanceof ExecutionException ? error.getCause() : error;
                answer.put("error", cause.toString());
                if (kind(cause) != null) answer.put("kind", kind(cause));
                cause.printStackTrace();
            }
            answers.write((answer + "\n").getBytes(StandardCharsets.UTF_8));
            answers.flush();
        }
        // Threads of a producer that was fenced, or of a member that did not leave, are not waited for.
        System.exit(0);
    }

    static String kind(Throwable error) {
        for (; error != null; error = error.getCause()) {
            String kind = KINDS.get(error.getClass().getSimpleName());
            if (kind != null) return kind;
        }
        return null;
    }

    ObjectNode work(JsonNode c) throws Exception {
        ObjectNode ok = JSON.createObjectNode();
        switch (c.get("op").asText()) {
            case "hello" -> ok.put("client", Dialect.NAME).put("version", version())
                .set("lacks", JSON.valueToTree(Dialect.LACKS));
            case "create_topic" -> createTopic(c);
            case "grow_topic" -> admin.createPartitions(
                Map.of(topic(c), NewPartitions.increaseTo(c.get("partitions").asInt()))).all().get();
            case "delete_topic" -> admin.deleteTopics(List.of(topic(c))).all().get();
            case "partitions" -> ok.put("partitions", partitions(topic(c)));
            case "produce" -> produce(c);
            case "fetch" -> ok.set("records", fetch(c));
            case "offsets" -> offsets(c, ok);
            case "subscribe" -> subscribe(c);
            case "poll" -> poll(c, ok);
            case "commit" -> ok.put("committed", commit());
            case "leave" -> leave();
            case "committed" -> ok.put("offset", committed(c));
            case "list_groups" -> {
                ArrayNode groups = ok.putArray("groups");
                admin.listConsumerGroups().all().get().forEach(group -> groups.add(group.groupId()));
            }
            case "describe_group" -> {
                String group = c.get("group").asText();
                ConsumerGroupDescription told = admin.describeConsumerGroups(List.of(group)).all().get().get(group);
                ok.put("state", Dialect.state(told)).put("members", told.members().size());
            }
            case "delete_group" -> admin.deleteConsumerGroups(List.of(c.get("group").asText())).all().get();
            case "describe_config" -> ok.put("value", admin.describeConfigs(List.of(resource(c))).all().get()
                .get(resource(c)).get(c.get("name").asText()).value());
            case "alter_config" -> Dialect.alter(admin, resource(c), c.get("name").asText(), c.get("value").asText());
            case "delete_records" -> admin.deleteRecords(
                Map.of(partition(c), RecordsToDelete.beforeOffset(c.get("offset").asLong()))).all().get();
            case "init_transactions" -> initTransactions(c);
            case "begin" -> transactional.beginTransaction();
            case "send" -> send(transactional, c);
            case "send_offsets" -> Dialect.sendOffsets(transactional,
                Map.of(partition(c), new OffsetAndMetadata(c.get("offset").asLong())), c.get("group").asText());
            case "end" -> {
                if (c.get("commit").asBoolean()) transactional.commitTransaction();
                else transactional.abortTransaction();
            }
            default -> throw new IllegalArgumentException(c.get("op").asText());
        }
        return ok;
    }

    /** As the library's jar tells it. */
    static String version() throws IOException {
        Properties properties = new Properties();
        properties.load(AdminClient.class.getResourceAsStream("/kafka/kafka-version.properties"));
        return properties.getProperty("version");
    }

    static String topic(JsonNode c) {
        return c.get("topic").asText();
    }

    static TopicPartition partition(JsonNode c) {
        return new TopicPartition(topic(c), c.get("partition").asInt());
    }

    static ConfigResource resource(JsonNode c) {
        return new ConfigResource(ConfigResource.Type.TOPIC, topic(c));
    }

    Map<String, Object> settings(Object... pairs) {
        Map<String, Object> settings = new HashMap<>(Map.of("bootstrap.servers", bootstrap));
        for (int i = 0; i < pairs.length; i += 2) settings.put((String) pairs[i], pairs[i + 1]);
        return settings;
    }

    void createTopic(JsonNode c) throws Exception {
        Map<String, String> configs = new HashMap<>();
        c.get("configs").fields().forEachRemaining(entry -> configs.put(entry.getKey(), entry.getValue().asText()));
        NewTopic topic = new NewTopic(topic(c), c.get("partitions").asInt(), (short) 1).configs(configs);
        admin.createTopics(List.of(topic)).all().get();
    }

    /** All topics are asked for first: the oldest client retries for what is not there. */
    int partitions(String topic) throws Exception {
        if (!admin.listTopics().names().get().contains(topic)) return 0;
        return Dialect.describe(admin, topic).partitions().size();
    }

    KafkaProducer<byte[], byte[]> producer(Map<String, Object> settings) {
        return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    KafkaConsumer<byte[], byte[]> consumer(Map<String, Object> settings) {
        return new KafkaConsumer<>(settings, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    void produce(JsonNode c) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer(settings("compression.type", c.get("codec").asText(),
                "enable.idempotence", c.get("idempotent").asBoolean(), "acks", "all", "linger.ms", 5,
                "max.request.size", 2_000_000))) {
            send(producer, c);
        }
    }

    void send(KafkaProducer<byte[], byte[]> producer, JsonNode c) throws Exception {
        Integer partition = c.get("partition").isNull() ? null : c.get("partition").asInt();
        List<Future<RecordMetadata>> acknowledged = new ArrayList<>();
        for (JsonNode record : c.get("records")) {
            List<Header> headers = new ArrayList<>();
            for (JsonNode header : record.get("headers"))
                headers.add(new RecordHeader(header.get(0).asText(), header.get(1).binaryValue()));
            Long timestamp = record.get("timestamp").isNull() ? null : record.get("timestamp").asLong();
            acknowledged.add(producer.send(new ProducerRecord<>(topic(c), partition, timestamp,
                record.get("key").binaryValue(), record.get("value").binaryValue(), headers)));
        }
        producer.flush();
        for (Future<RecordMetadata> one : acknowledged) one.get();
    }

    static ObjectNode received(ConsumerRecord<byte[], byte[]> record) {
        ObjectNode out = JSON.createObjectNode().put("partition", record.partition()).put("offset", record.offset())
            .put("timestamp", record.timestamp()).put("key", record.key()).put("value", record.value());
        ArrayNode headers = out.putArray("headers");
        record.headers().forEach(header -> headers.addArray().add(header.key()).add(header.value()));
        return out;
    }

    ArrayNode fetch(JsonNode c) {
        ArrayNode records = JSON.createArrayNode();
        int count = c.get("count").asInt();
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings("enable.auto.commit", false,
                "isolation.level", c.get("committed").asBoolean() ? "read_committed" : "read_uncommitted"))) {
            consumer.assign(List.of(partition(c)));
            consumer.seek(partition(c), c.get("offset").asLong());
            long patience = Duration.ofMillis(c.get("ms").asLong()).toNanos();
            for (long end = System.nanoTime() + patience; records.size() < count && System.nanoTime() < end; ) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    if (records.size() < count) records.add(received(record));
                    end = System.nanoTime() + patience;
                }
            }
        }
        return records;
    }

    void offsets(JsonNode c, ObjectNode ok) {
        TopicPartition partition = partition(c);
        try (KafkaConsumer<byte[], byte[]> consumer = consumer(settings())) {
            ok.put("earliest", consumer.beginningOffsets(List.of(partition)).get(partition));
            ok.put("latest", consumer.endOffsets(List.of(partition)).get(partition));
            OffsetAndTimestamp at = c.get("timestamp").isNull() ? null
                : consumer.offsetsForTimes(Map.of(partition, c.get("timestamp").asLong())).get(partition);
            ok.put("at", at == null ? null : at.offset());
        }
    }

    void subscribe(JsonNode c) {
        String strategy = c.get("strategy").asText();
        Map<String, Object> settings = settings("group.id", c.get("group").asText(), "auto.offset.reset", "earliest",
            "enable.auto.commit", false);
        String assignors = "org.apache.kafka.clients.consumer.";
        switch (strategy) {
            case "eager" -> settings.put("partition.assignment.strategy", assignors + "RangeAssignor");
            case "cooperative" -> settings.put("partition.assignment.strategy", assignors + "CooperativeStickyAssignor");
            // The assignors of the server have no classes here (KIP-848).
            default -> settings.putAll(Map.of("group.protocol", "consumer", "group.remote.assignor", strategy));
        }
        if (settings.containsKey("partition.assignment.strategy"))
            settings.putAll(Map.of("session.timeout.ms", 10_000, "heartbeat.interval.ms", 300));
        if (!c.get("instance").isNull()) settings.put("group.instance.id", c.get("instance").asText());
        member = consumer(settings);
        member.subscribe(List.of(topic(c)));
    }

    void poll(JsonNode c, ObjectNode ok) {
        ArrayNode records = ok.putArray("records");
        member.poll(Duration.ofMillis(c.get("ms").asLong())).forEach(record -> records.add(received(record)));
        ArrayNode assigned = ok.putArray("assigned");
        member.assignment().forEach(partition -> assigned.add(partition.partition()));
    }

    /** A commit may meet a rebalance, and is then lost. */
    boolean commit() {
        try {
            member.commitSync();
            return true;
        } catch (CommitFailedException | org.apache.kafka.common.errors.RebalanceInProgressException lost) {
            return false;
        }
    }

    void leave() {
        commit();
        member.close();
        member = null;
    }

    Long committed(JsonNode c) throws Exception {
        OffsetAndMetadata committed = admin.listConsumerGroupOffsets(c.get("group").asText())
            .partitionsToOffsetAndMetadata().get().get(partition(c));
        return committed == null ? null : committed.offset();
    }

    void initTransactions(JsonNode c) {
        if (transactional != null) transactional.close();
        transactional = producer(settings("transactional.id", c.get("transactional_id").asText()));
        transactional.initTransactions();
    }
}
