import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.coordinator.group.GroupConfig;
import org.apache.kafka.server.config.AbstractKafkaConfig;
import org.apache.kafka.server.config.DynamicBrokerConfig;
import org.apache.kafka.server.config.QuotaConfig;
import org.apache.kafka.server.config.ServerTopicConfigSynonyms;
import org.apache.kafka.server.metrics.ClientMetricsConfigs;
import org.apache.kafka.storage.internals.log.LogConfig;

/**
 * What the pinned release says about its configuration keys.
 *
 * <p>{@code facts}: one line per key, fields separated by tabs: scope, name, type, default ("!" for required, "~" for
 * null), importance, update mode, synonyms with their factors, "internal" or nothing.
 *
 * <p>{@code parse FILE}: for each line "scope TAB name TAB value" of the file one line, "= text" with the value as Kafka
 * shows it, or "! reason".
 */
public class ConfigKeys {
    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("facts")) {
            scopes().forEach(ConfigKeys::printFacts);
        } else {
            parseAll(Path.of(arguments[1]));
        }
    }

    private static Map<String, ConfigDef> scopes() {
        Map<String, ConfigDef> scopes = new LinkedHashMap<>();
        scopes.put("Broker", AbstractKafkaConfig.CONFIG_DEF);
        scopes.put("Topic", LogConfig.configDefCopy());
        scopes.put("Group", GroupConfig.CONFIG_DEF);
        scopes.put("ClientMetrics", ClientMetricsConfigs.configDef());
        scopes.put("BrokerQuota", QuotaConfig.brokerQuotaConfigs());
        scopes.put("UserClientQuota", QuotaConfig.scramMechanismsPlusUserAndClientQuotaConfigs());
        scopes.put("IpQuota", QuotaConfig.ipConfigs());
        return scopes;
    }

    private static void printFacts(String scope, ConfigDef definition) {
        Map<String, String> modes = DynamicBrokerConfig.dynamicConfigUpdateModes();
        for (ConfigDef.ConfigKey key : new TreeMap<>(definition.configKeys()).values()) {
            String mode = scope.equals("Broker") ? modes.getOrDefault(key.name, "read-only") : "";
            System.out.println(String.join("\t", scope, key.name, key.type.name(), defaultOf(key), key.importance.name(),
                mode, scope.equals("Topic") ? synonymsOf(key.name) : "", key.internalConfig ? "internal" : ""));
        }
    }

    private static String defaultOf(ConfigDef.ConfigKey key) {
        if (!key.hasDefault()) {
            return "!";
        }
        String text = ConfigDef.convertToString(key.defaultValue, key.type);
        return text == null ? "~" : text;
    }

    private static String synonymsOf(String topicKey) {
        StringBuilder text = new StringBuilder();
        for (var synonym : ServerTopicConfigSynonyms.ALL_TOPIC_CONFIG_SYNONYMS.getOrDefault(topicKey, List.of())) {
            text.append(text.isEmpty() ? "" : ",").append(synonym.name()).append('*').append(synonym.converter().apply("1"));
        }
        return text.toString();
    }

    private static void parseAll(Path file) throws Exception {
        Map<String, ConfigDef> scopes = scopes();
        StringBuilder answers = new StringBuilder();
        for (String line : Files.readAllLines(file)) {
            String[] fields = line.split("\t", 3);
            ConfigDef.ConfigKey key = scopes.get(fields[0]).configKeys().get(fields[1]);
            answers.append(parse(key, fields[2]).replace('\n', ' ')).append('\n');
        }
        System.out.print(answers);
    }

    private static String parse(ConfigDef.ConfigKey key, String value) {
        try {
            Object parsed = new ConfigDef().define(key).parse(Map.of(key.name, value)).get(key.name);
            return "= " + ConfigDef.convertToString(parsed, ConfigDef.Type.PASSWORD == key.type ? null : key.type);
        } catch (ConfigException refused) {
            return "! " + refused.getMessage();
        }
    }
}
