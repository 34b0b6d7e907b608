import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;

/** What the adapter says to clients of the oldest release that servers speak with. */
class Dialect {
    static final String NAME = "Java client, oldest";

    static final Map<String, String> LACKS = Map.of(
        "group-cooperative", "came with 2.4",
        "group-uniform", "the consumer protocol (KIP-848) came with 3.7",
        "group-range", "the consumer protocol (KIP-848) came with 3.7",
        "static-member", "came with 2.3");

    static TopicDescription describe(AdminClient admin, String topic) throws Exception {
        return admin.describeTopics(List.of(topic)).all().get().get(topic);
    }

    static String state(ConsumerGroupDescription group) {
        return group.state().toString();
    }

    /** There is only the request that replaces all values of a topic: those that it has are given again. */
    static void alter(AdminClient admin, ConfigResource topic, String name, String value) throws Exception {
        List<ConfigEntry> entries = new ArrayList<>(List.of(new ConfigEntry(name, value)));
        for (ConfigEntry entry : admin.describeConfigs(List.of(topic)).all().get().get(topic).entries()) {
            boolean kept = entry.source() == ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG && !entry.name().equals(name);
            if (kept) entries.add(new ConfigEntry(entry.name(), entry.value()));
        }
        admin.alterConfigs(Map.of(topic, new Config(entries))).all().get();
    }

    static void sendOffsets(KafkaProducer<?, ?> producer, Map<TopicPartition, OffsetAndMetadata> offsets, String group) {
        producer.sendOffsetsToTransaction(offsets, group);
    }
}
