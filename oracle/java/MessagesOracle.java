import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.File;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import java.util.jar.JarFile;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.errors.InvalidMetadataException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.UnsupportedVersionException;
import org.apache.kafka.common.message.ApiMessageType.ListenerType;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageSizeAccumulator;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.record.internal.MemoryRecords;

/**
 * Answers questions about message bytes with Apache Kafka's generated classes.
 *
 * A question on standard input: one byte with its kind, the message's name (two bytes of length before it), two bytes
 * of version, four bytes of length, a payload. An answer on standard output: one byte, 0 for an answer and 1 for a
 * refusal, four bytes of length, a payload.
 *
 * L: the name, lowest and highest version of every message class in the jars, one a line.
 * K: every API: key, name, lowest, highest stable and highest version, whether brokers and controllers serve it, then
 *    the versions of the headers of request and response for each version; one a line.
 * E: every error: code, name, whether it is retriable and whether it asks for new metadata; one a line.
 * A: reads the payload as the message and writes it again.
 * J: reads the payload as the message and shows it with Kafka's own JSON converter.
 * R: makes a random message (the payload is the seed, eight bytes) and writes it.
 */
public class MessagesOracle {
    private static final TreeMap<String, Class<?>> CLASSES = new TreeMap<>();

    public static void main(String[] arguments) throws Exception {
        findClasses();
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
        while (true) {
            char kind;
            try {
                kind = (char) in.readByte();
            } catch (EOFException end) {
                return;
            }
            String name = in.readUTF();
            short version = in.readShort();
            byte[] payload = in.readNBytes(in.readInt());
            byte[] answer;
            try {
                answer = answer(kind, name, version, payload);
                out.writeByte(0);
            } catch (Throwable refusal) {
                answer = refusal.toString().getBytes(StandardCharsets.UTF_8);
                out.writeByte(1);
            }
            out.writeInt(answer.length);
            out.write(answer);
            if (in.available() == 0) {
                out.flush();
            }
        }
    }

    private static byte[] answer(char kind, String name, short version, byte[] payload) throws Exception {
        if (kind == 'L') {
            return list();
        } else if (kind == 'K') {
            return apis();
        } else if (kind == 'E') {
            return errors();
        }
        Class<?> type = CLASSES.get(name);
        if (type == null) {
            throw new IllegalArgumentException("there is no message " + name);
        }
        if (kind == 'R') {
            Random random = new Random(ByteBuffer.wrap(payload).getLong());
            return write((Message) new Filler(random, version).fresh(type, 0), version);
        }
        ByteBuffer buffer = ByteBuffer.wrap(payload);
        Message message = (Message) type.getDeclaredConstructor().newInstance();
        message.read(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) {
            throw new IllegalArgumentException(buffer.remaining() + " bytes are left over");
        }
        if (kind == 'A') {
            return write(message, version);
        }
        Class<?> converter = Class.forName(type.getName() + "JsonConverter");
        JsonNode json = (JsonNode) converter.getMethod("write", type, short.class).invoke(null, message, version);
        return json.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] write(Message message, short version) {
        return MessageUtil.byteBufferToArray(MessageUtil.toByteBufferAccessor(message, version).buffer());
    }

    private static byte[] list() throws Exception {
        StringBuilder text = new StringBuilder();
        for (var entry : CLASSES.entrySet()) {
            Message message = (Message) entry.getValue().getDeclaredConstructor().newInstance();
            text.append(entry.getKey()).append(' ').append(message.lowestSupportedVersion()).append(' ');
            text.append(message.highestSupportedVersion()).append('\n');
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] apis() {
        StringBuilder text = new StringBuilder();
        for (ApiKeys api : ApiKeys.values()) {
            if (!api.hasValidVersion()) {
                continue;
            }
            text.append(api.id).append(' ').append(api.name).append(' ').append(api.oldestVersion());
            text.append(' ').append(api.latestVersion(false)).append(' ').append(api.latestVersion(true));
            text.append(' ').append(api.inScope(ListenerType.BROKER)).append(' ');
            text.append(api.inScope(ListenerType.CONTROLLER));
            for (short version = api.oldestVersion(); version <= api.latestVersion(true); version++) {
                text.append(' ').append(api.requestHeaderVersion(version));
                text.append('/').append(api.responseHeaderVersion(version));
            }
            text.append('\n');
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    private static byte[] errors() {
        StringBuilder text = new StringBuilder();
        for (Errors error : Errors.values()) {
            text.append(error.code()).append(' ').append(error.name()).append(' ');
            text.append(error.exception() instanceof RetriableException).append(' ');
            text.append(error.exception() instanceof InvalidMetadataException).append('\n');
        }
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }

    /** Finds the generated classes by their packages: whatever is there has to be known to the asker. */
    private static void findClasses() throws Exception {
        for (String path : System.getProperty("java.class.path").split(File.pathSeparator)) {
            if (!new File(path).getName().startsWith("kafka")) {
                continue;
            }
            try (JarFile jar = new JarFile(path)) {
                for (var entry : (Iterable<java.util.jar.JarEntry>) jar.stream()::iterator) {
                    String file = entry.getName();
                    if (file.matches("org/apache/kafka/(.*/generated|common/message|common/metadata)/\\w+\\.class")) {
                        Class<?> type = Class.forName(file.substring(0, file.length() - 6).replace('/', '.'));
                        if (Message.class.isAssignableFrom(type)) {
                            String name = type.getSimpleName().replaceFirst("(Request|Response|Header)Data$", "$1");
                            if (CLASSES.put(name, type) != null) {
                                throw new IllegalStateException("two classes are named " + name);
                            }
                        }
                    }
                }
            }
        }
    }

    /** Fills a message with random values that the version can carry. */
    private static final class Filler {
        private static final int DEPTH_MAX = 6;
        private final Random random;
        private final short version;
        /** 0: all defaults; 1: the greatest values; else random. */
        private final int manner;

        Filler(Random random, short version) {
            this.random = random;
            this.version = version;
            this.manner = random.nextInt(12);
        }

        Object fresh(Class<?> type, int depth) throws Exception {
            Object message = type.getDeclaredConstructor().newInstance();
            if (manner == 0) {
                return message;
            }
            for (Field field : type.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers()) && !field.getName().startsWith("_")
                        && !field.getName().equals("next") && !field.getName().equals("prev")
                        && random.nextInt(8) > 0) {
                    set((Message) message, type, field, depth);
                }
            }
            if (random.nextInt(3) == 0) {
                List<RawTaggedField> unknown = ((Message) message).unknownTaggedFields();
                int tag = 60;
                for (int count = random.nextInt(4); count > 0; count--) {
                    tag += 1 + random.nextInt(3) * 100_000;
                    unknown.add(new RawTaggedField(tag, bytes()));
                }
                if (!carries((Message) message)) {
                    unknown.clear();
                }
            }
            return message;
        }

        /** Sets one field; takes it back when the version can't carry it. */
        private void set(Message message, Class<?> type, Field field, int depth) throws Exception {
            field.setAccessible(true);
            Object before = field.get(message);
            Method setter = null;
            for (Method method : type.getMethods()) {
                if (method.getName().equalsIgnoreCase("set" + field.getName()) && method.getParameterCount() == 1) {
                    setter = method;
                }
            }
            Object value = value(setter.getParameterTypes()[0], setter.getGenericParameterTypes()[0], depth);
            try {
                setter.invoke(message, value);
            } catch (InvocationTargetException outOfRange) {
                // The setters of unsigned numbers refuse what is negative or too great.
                Object small = value instanceof Long ? (Object) ((Long) value & 0xffffffffL)
                    : (Object) ((Integer) value & 0xffff);
                setter.invoke(message, small);
            }
            if (!carries(message)) {
                field.set(message, before);
            }
        }

        private boolean carries(Message message) {
            try {
                message.addSize(new MessageSizeAccumulator(), new ObjectSerializationCache(), version);
                write(message, version);
                return true;
            } catch (UnsupportedVersionException | NullPointerException refusal) {
                return false;
            }
        }

        private Object value(Class<?> type, Type generic, int depth) throws Exception {
            boolean greatest = manner == 1;
            if (type == boolean.class) {
                return random.nextBoolean();
            } else if (type == byte.class) {
                return greatest ? Byte.MAX_VALUE : (byte) number();
            } else if (type == short.class) {
                return greatest ? Short.MAX_VALUE : (short) number();
            } else if (type == int.class) {
                return greatest ? Integer.MAX_VALUE : (int) number();
            } else if (type == long.class) {
                return greatest ? Long.MAX_VALUE : number();
            } else if (type == double.class) {
                double[] edges = {0.0, -0.0, 1.5, -1e300, Double.MIN_VALUE, Double.MAX_VALUE, Double.POSITIVE_INFINITY};
                return edges[random.nextInt(edges.length)];
            } else if (type == Uuid.class) {
                return new Uuid(number(), number());
            } else if (random.nextInt(6) == 0) {
                return null;
            } else if (type == String.class) {
                return string();
            } else if (type == byte[].class) {
                return bytes();
            } else if (type == ByteBuffer.class) {
                return ByteBuffer.wrap(bytes());
            } else if (type.isAssignableFrom(MemoryRecords.class)) {
                return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes()));
            } else if (List.class.isAssignableFrom(type)) {
                return fill(new ArrayList<>(), ((ParameterizedType) generic).getActualTypeArguments()[0], depth);
            } else if (Collection.class.isAssignableFrom(type)) {
                Collection<Object> list = cast(type.getDeclaredConstructor().newInstance());
                return fill(list, ((ParameterizedType) type.getGenericSuperclass()).getActualTypeArguments()[0], depth);
            }
            return fresh(type, depth + 1);
        }

        @SuppressWarnings("unchecked")
        private static Collection<Object> cast(Object collection) {
            return (Collection<Object>) collection;
        }

        private Collection<Object> fill(Collection<Object> list, Type element, int depth) throws Exception {
            int most = depth >= DEPTH_MAX ? 0 : element instanceof Class && Message.class.isAssignableFrom((Class<?>) element) ? 3 : 200;
            int count = random.nextInt(4) == 0 ? random.nextInt(most + 1) : random.nextInt(Math.min(most, 3) + 1);
            for (; count > 0; count--) {
                Object value = element == Integer.class ? (Object) (int) number()
                    : element == Short.class ? (Object) (short) number()
                    : element == Byte.class ? (Object) (byte) number()
                    : element == Long.class ? (Object) number()
                    : element == String.class ? string()
                    : element == Uuid.class ? new Uuid(number(), number())
                    : element == byte[].class ? bytes()
                    : fresh((Class<?>) element, depth + 1);
                list.add(value);
            }
            return list;
        }

        private long number() {
            switch (random.nextInt(6)) {
                case 0: return 0;
                case 1: return -1;
                case 2: return random.nextInt(300);
                case 3: return random.nextBoolean() ? Long.MIN_VALUE : Integer.MIN_VALUE;
                default: return random.nextLong();
            }
        }

        private String string() {
            int[] lengths = {0, 1, 5, 126, 127, 128, 300};
            StringBuilder text = new StringBuilder();
            String alphabet = "abcXYZ09._-\u00e4\u20ac\u0000\"\\\n";
            for (int length = lengths[random.nextInt(lengths.length)]; length > 0; length--) {
                text.append(alphabet.charAt(random.nextInt(alphabet.length())));
            }
            if (manner == 1) {
                return "g".repeat(random.nextInt(20) == 0 ? 32767 : 127);
            }
            return random.nextInt(4) == 0 ? text.append("\ud83e\udda6").toString() : text.toString();
        }

        private byte[] bytes() {
            int[] lengths = {0, 1, 7, 127, 128, 1000};
            byte[] bytes = new byte[lengths[random.nextInt(lengths.length)]];
            random.nextBytes(bytes);
            return bytes;
        }
    }
}
