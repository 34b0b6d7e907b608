import java.io.ByteArrayInputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;

/**
 * Reads each line of a file as a hexadecimal properties text and prints what java.util.Properties makes of it: the pairs
 * in the order of their keys as hexadecimal UTF-16, or "!" where it refuses.
 */
public class PropertiesText {
    public static void main(String[] arguments) throws Exception {
        StringBuilder answers = new StringBuilder();
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            Properties properties = new Properties();
            try {
                properties.load(new ByteArrayInputStream(HexFormat.of().parseHex(line)));
                for (Map.Entry<Object, Object> pair : new TreeMap<>(properties).entrySet()) {
                    answers.append(hex(pair.getKey())).append('=').append(hex(pair.getValue())).append(' ');
                }
            } catch (IllegalArgumentException refused) {
                answers.append('!');
            }
            answers.append('\n');
        }
        System.out.print(answers);
    }

    private static String hex(Object text) {
        StringBuilder hex = new StringBuilder();
        text.toString().chars().forEach(unit -> hex.append(String.format("%04x", unit)));
        return hex.toString();
    }
}
