import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

import org.apache.kafka.common.utils.internals.Exit;

/**
 * Runs many of Apache Kafka's command-line tools one after the other in this process: a process for each would take a
 * second each. The argument is a file with a run a line: the file that is the tool's input, or nothing, the tool's class and
 * its arguments, separated by tabs.
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

    /** The first exit of the tool that runs. Some tools catch everything, also what stands for their exit, and go on. */
    private static Integer firstCode;
    /** How many bytes it had said by then. */
    private static int[] saidBytes;
    private static ByteArrayOutputStream output;
    private static ByteArrayOutputStream errors;

    public static void main(String[] arguments) throws Exception {
        Exit.setExitProcedure((code, message) -> exited(code));
        // The reader of arguments of some tools ends the process without Kafka's procedure. All else stays allowed.
        java.security.Policy.setPolicy(new java.security.Policy() {
            @Override
            public boolean implies(java.security.ProtectionDomain domain, java.security.Permission permission) {
                return true;
            }
        });
        System.setSecurityManager(new SecurityManager() {
            @Override
            public void checkExit(int code) {
                exited(code);
            }

            @Override
            public void checkPermission(java.security.Permission permission) {
                // Everything else is allowed.
            }
        });
        PrintStream out = System.out;
        for (String line : Files.readAllLines(Path.of(arguments[0]))) {
            String[] words = line.split("\t", -1);
            byte[] input = words[0].isEmpty() ? new byte[0] : Files.readAllBytes(Path.of(words[0]));
            System.setIn(new ByteArrayInputStream(input));
            run(out, words[1], Arrays.copyOfRange(words, 2, words.length));
        }
        out.flush();
        System.setSecurityManager(null);
    }

    private static void exited(int code) {
        if (firstCode == null) {
            System.out.flush();
            System.err.flush();
            firstCode = code;
            saidBytes = new int[] {output.size(), errors.size()};
        }
        throw new Exited(code);
    }

    private static void run(PrintStream out, String tool, String[] arguments) throws Exception {
        output = new ByteArrayOutputStream();
        errors = new ByteArrayOutputStream();
        firstCode = null;
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
        int[] said = firstCode == null ? new int[] {output.size(), errors.size()} : saidBytes;
        out.print((firstCode == null ? code : firstCode) + " " + said[0] + " " + said[1] + "\n");
        out.write(output.toByteArray(), 0, said[0]);
        out.write(errors.toByteArray(), 0, said[1]);
    }
}
