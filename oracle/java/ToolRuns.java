import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

import org.apache.kafka.common.utils.internals.Exit;

/**
 * Runs many of Apache Kafka's command-line tools one after the other in this process: a process for each would take a
 * second each. The argument is a file with a run a line, the tool's class and its arguments separated by tabs.
 *
 * The answer to a run is a line "code output errors", the lengths in bytes, and then both texts.
 */
public class ToolRuns {
    /** Thrown where the tool would end the process. */
    private static class Exited extends RuntimeException {
        private final int code;

        private Exited(int code) {
            this.code = code;
        }
    }

    public static void main(String[] arguments) throws Exception {
        Exit.setExitProcedure((code, message) -> {
            throw new Exited(code);
        });
        PrintStream out = System.out;
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] words = line.split("\t", -1);
            run(out, words[0], Arrays.copyOfRange(words, 1, words.length));
        }
        out.flush();
    }

    private static void run(PrintStream out, String tool, String[] arguments) throws Exception {
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        ByteArrayOutputStream errors = new ByteArrayOutputStream();
        System.setOut(new PrintStream(output, true, StandardCharsets.UTF_8));
        System.setErr(new PrintStream(errors, true, StandardCharsets.UTF_8));
        int code = 0;
        try {
            Class.forName(tool).getMethod("main", String[].class).invoke(null, (Object) arguments);
        } catch (java.lang.reflect.InvocationTargetException thrown) {
            Throwable cause = thrown.getCause();
            if (cause instanceof Exited) {
                code = ((Exited) cause).code;
            } else {
                // As the virtual machine tells of it when nobody does, without the lines that name places in the code.
                code = 1;
                System.err.println("Exception in thread \"main\" " + cause);
            }
        }
        System.out.flush();
        System.err.flush();
        out.print(code + " " + output.size() + " " + errors.size() + "\n");
        out.write(output.toByteArray());
        out.write(errors.toByteArray());
    }
}
