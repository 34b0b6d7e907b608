import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.server.log.remote.metadata.storage.serialization.RemoteLogMetadataSerde;
import org.apache.kafka.server.log.remote.storage.RemoteLogSegmentId;
import org.apache.kafka.server.log.remote.storage.RemoteLogSegmentMetadata;
import org.apache.kafka.server.log.remote.storage.RemoteLogSegmentMetadataUpdate;
import org.apache.kafka.server.log.remote.storage.RemoteLogSegmentState;
import org.apache.kafka.server.log.remote.storage.RemotePartitionDeleteMetadata;
import org.apache.kafka.server.log.remote.storage.RemotePartitionDeleteState;

/**
 * Has a running broker write log files of many kinds: all codecs, idempotent and transactional producers, headers, nulls,
 * deleted records, tombstones, groups of every protocol. The arguments: the broker's address; "all", or "some" without
 * transactions and the newer groups; and a directory for what no broker of this release writes: messages of the older
 * formats, remote log metadata.
 */
public class WriteLogFiles {
    private static String server;

    public static void main(String[] arguments) throws Exception {
        server = arguments[0];
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", (Object) server))) {
            write(admin, arguments[1].equals("all"));
        }
        writeOlderFormats(Path.of(arguments[2]));
        writeRemoteMetadata(Path.of(arguments[2]));
    }

    private static void write(Admin admin, boolean all) throws Exception {
        Map<String, String> small = Map.of("segment.bytes", "1048576", "index.interval.bytes", "600");
        Map<String, String> compacted = Map.of("cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.01",
            "segment.ms", "100", "delete.retention.ms", "3600000");
        Map<String, String> appendTime = Map.of("message.timestamp.type", "LogAppendTime");
        admin.createTopics(List.of(topic("plain", small), topic("transactions", small), topic("compacted", compacted),
            topic("append-time", appendTime), topic("empty", small))).all().get(30, TimeUnit.SECONDS);
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            for (boolean idempotent : List.of(false, true)) {
                producePlain(codec, idempotent);
            }
        }
        produceKeys();
        admin.deleteRecords(Map.of(new TopicPartition("plain", 0), RecordsToDelete.beforeOffset(100))).all().get();
        consume("classic");
        if (!all) {
            return;
        }
        produceTransactions();
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, "share"), List.of(
            new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET))))
            .all().get();
        consume("consumer");
        share();
        admin.deleteTopics(List.of("empty")).all().get();
    }

    private static NewTopic topic(String name, Map<String, String> configs) {
        return new NewTopic(name, 1, (short) 1).configs(configs);
    }

    private static Properties properties(Object... pairs) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", server);
        for (int index = 0; index < pairs.length; index += 2) {
            properties.put(pairs[index], pairs[index + 1]);
        }
        return properties;
    }

    private static KafkaProducer<byte[], byte[]> producer(Object... pairs) {
        return new KafkaProducer<>(properties(pairs), new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }

    private static ProducerRecord<byte[], byte[]> record(String topic, String key, String value, String... headers) {
        ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, 0, bytes(key), bytes(value));
        for (String header : headers) {
            record.headers().add(new RecordHeader(header, header.isEmpty() ? null : bytes("of " + header)));
        }
        return record;
    }

    private static void producePlain(String codec, boolean idempotent) {
        try (KafkaProducer<byte[], byte[]> producer = producer("compression.type", codec, "enable.idempotence", idempotent,
                "linger.ms", 5, "batch.size", 3000)) {
            for (int number = 0; number < 400; number++) {
                String value = number % 50 == 7 ? null : "value " + number + " é漢\uD83D\uDE00 " + "x".repeat(number % 90 * 13);
                String key = number % 3 == 0 ? null : "key " + number;
                String topic = number % 4 == 0 ? "append-time" : "plain";
                producer.send(number % 5 == 0 ? record(topic, key, value, "h1", "", "h1") : record(topic, key, value));
            }
            // Bytes that are no text.
            producer.send(new ProducerRecord<>("plain", 0, new byte[] {(byte) 0xff, (byte) 0xc3, 0x28, 0, 10},
                new byte[] {(byte) 0xe2, (byte) 0x82, (byte) 0xed, (byte) 0xa0, (byte) 0x80, (byte) 0xf0, (byte) 0x90, 65}));
        }
    }

    private static void produceTransactions() {
        try (KafkaProducer<byte[], byte[]> producer = producer("transactional.id", "writer", "batch.size", 900)) {
            producer.initTransactions();
            for (int round = 0; round < 6; round++) {
                producer.beginTransaction();
                for (int number = 0; number < 30; number++) {
                    producer.send(record("transactions", "k" + number, "round " + round + " " + "y".repeat(number)));
                }
                producer.flush();
                if (round % 2 == 0) {
                    producer.commitTransaction();
                } else {
                    producer.abortTransaction();
                }
            }
            // Left open.
            producer.beginTransaction();
            producer.send(record("transactions", "open", "still"));
            producer.flush();
        }
    }

    private static void produceKeys() throws Exception {
        try (KafkaProducer<byte[], byte[]> producer = producer("linger.ms", 0, "batch.size", 500)) {
            for (int round = 0; round < 4; round++) {
                for (int number = 0; number < 40; number++) {
                    boolean tombstone = round == 2 && number % 9 == 0;
                    producer.send(record("compacted", "key " + number, tombstone ? null : "round " + round));
                }
                producer.flush();
                Thread.sleep(150);
            }
            producer.send(record("compacted", "last", "rolls the segment"));
        }
    }

    private static void consume(String protocol) {
        Properties properties = properties("group.id", "group-" + protocol, "group.protocol", protocol,
            "auto.offset.reset", "earliest", "enable.auto.commit", false);
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(),
                new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("plain", "compacted"));
            for (int tries = 0; tries < 100 && consumer.poll(Duration.ofMillis(200)).isEmpty(); tries++) {
                continue;
            }
            consumer.commitSync();
            consumer.unsubscribe();
        }
    }

    private static void share() {
        Properties properties = properties("group.id", "share");
        try (KafkaShareConsumer<byte[], byte[]> consumer = new KafkaShareConsumer<>(properties, new ByteArrayDeserializer(),
                new ByteArrayDeserializer())) {
            consumer.subscribe(List.of("plain"));
            for (int tries = 0; tries < 100 && consumer.poll(Duration.ofMillis(200)).isEmpty(); tries++) {
                continue;
            }
            consumer.commitSync();
        }
    }

    private static void append(Path file, ByteBuffer bytes) throws Exception {
        byte[] array = new byte[bytes.remaining()];
        bytes.get(array);
        Files.write(file, array, java.nio.file.StandardOpenOption.CREATE, java.nio.file.StandardOpenOption.APPEND);
    }

    private static void writeOlderFormats(Path parent) throws Exception {
        Path directory = Files.createDirectories(parent.resolve("older-0"));
        Path file = directory.resolve("00000000000000000000.log");
        long offset = 0;
        for (byte magic = 0; magic <= 1; magic++) {
            for (CompressionType codec : List.of(CompressionType.NONE, CompressionType.GZIP, CompressionType.SNAPPY,
                    CompressionType.LZ4)) {
                for (TimestampType type : List.of(TimestampType.CREATE_TIME, TimestampType.LOG_APPEND_TIME)) {
                    if (magic == 0 && type == TimestampType.LOG_APPEND_TIME) {
                        continue;
                    }
                    MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(4096), magic,
                        Compression.of(codec).build(), type, offset, 1_700_000_000_000L);
                    for (int number = 0; number < 5; number++) {
                        builder.append(new SimpleRecord(1_700_000_000_000L + number, number == 0 ? null : bytes("k" + number),
                            number == 1 ? null : bytes("older " + offset)));
                        offset++;
                    }
                    append(file, builder.build().buffer());
                }
            }
        }
    }

    private static void writeRemoteMetadata(Path parent) throws Exception {
        Path directory = Files.createDirectories(parent.resolve("remote-0"));
        TopicIdPartition partition = new TopicIdPartition(new Uuid(11, 12), new TopicPartition("tiered", 3));
        RemoteLogSegmentId id = new RemoteLogSegmentId(partition, new Uuid(21, 22));
        RemoteLogMetadataSerde serde = new RemoteLogMetadataSerde();
        SimpleRecord[] records = {
            new SimpleRecord(1, null, serde.serialize(new RemoteLogSegmentMetadata(id, 5, 90, 1_700_000_000_001L, 7,
                1_700_000_000_002L, 4096, Map.of(3, 5L, 4, 60L)))),
            new SimpleRecord(2, null, serde.serialize(new RemoteLogSegmentMetadataUpdate(id, 1_700_000_000_003L,
                java.util.Optional.empty(), RemoteLogSegmentState.COPY_SEGMENT_FINISHED, 7))),
            new SimpleRecord(3, null, serde.serialize(new RemotePartitionDeleteMetadata(partition,
                RemotePartitionDeleteState.DELETE_PARTITION_MARKED, 1_700_000_000_004L, 7))),
            new SimpleRecord(4, null, bytes("none of these")),
        };
        MemoryRecords batch = MemoryRecords.withRecords(Compression.NONE, records);
        append(directory.resolve("00000000000000000000.log"), batch.buffer());
    }
}
