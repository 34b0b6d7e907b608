import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.stream.Collectors;
import kafka.server.KafkaConfig;
import org.apache.kafka.common.Endpoint;

/**
 * Reads a file of server properties, parted by lines of dashes, and says of each "= facts" or "! reason": the node's id,
 * its roles, its listeners and what it advertises, for brokers and for controllers.
 */
public class NodeConfigs {
    public static void main(String[] arguments) throws Exception {
        for (String text : Files.readString(Path.of(arguments[0])).split("----\n")) {
            System.out.println(facts(text).replace('\n', ' '));
        }
    }

    private static String facts(String text) throws Exception {
        Properties properties = new Properties();
        properties.load(new StringReader(text));
        try {
            KafkaConfig config = KafkaConfig.fromProps(properties, false);
            boolean isBroker = config.processRoles().toString().toLowerCase().contains("broker");
            return "= " + config.nodeId()
                + " broker " + shown(config.dataPlaneListeners())
                + " controller " + shown(config.controllerListeners())
                + " advertised " + shown(config.effectiveAdvertisedBrokerListeners())
                + " " + shown(config.effectiveAdvertisedControllerListeners())
                + " between " + (isBroker ? config.interBrokerListenerName().value() : "");
        } catch (RuntimeException refused) {
            return "! " + refused.getMessage();
        }
    }

    private static String shown(scala.collection.Seq<Endpoint> endpoints) {
        return scala.jdk.javaapi.CollectionConverters.asJava(endpoints).stream()
            .map(endpoint -> endpoint.listener() + "://" + (endpoint.host() == null ? "" : endpoint.host()) + ":" + endpoint.port()
                + "/" + endpoint.securityProtocol())
            .collect(Collectors.joining(",", "[", "]"));
    }
}
