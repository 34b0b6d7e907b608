import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;

import org.apache.kafka.common.InvalidRecordException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.errors.CorruptRecordException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.KRaftVersionRecord;
import org.apache.kafka.common.message.LeaderChangeMessage;
import org.apache.kafka.common.message.SnapshotFooterRecord;
import org.apache.kafka.common.message.SnapshotHeaderRecord;
import org.apache.kafka.common.message.VotersRecord;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.CompressionType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.common.utils.internals.BufferSupplier;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;
import org.apache.kafka.common.utils.internals.CloseableIterator;
import org.apache.kafka.common.utils.internals.PrimitiveRef;
import org.apache.kafka.storage.internals.log.AppendOrigin;
import org.apache.kafka.storage.internals.log.LogValidator;
import org.apache.kafka.storage.internals.log.RecordValidationException;

/**
 * Answers questions about record batches with Apache Kafka's own code: one line in, one line out.
 *
 * Bytes are hexadecimal with an x before them, so that empty ones can be seen; null is a dash.
 */
public class RecordsOracle {
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                answer = "ok " + answer(line.split(" "));
            } catch (Throwable failure) {
                answer = "error " + errorName(failure) + " " + failure.getClass().getSimpleName() + ": "
                    + String.valueOf(failure.getMessage()).replace('\n', ' ');
            }
            out.println(answer);
            out.flush();
        }
    }

    private static String errorName(Throwable failure) {
        Throwable cause = failure instanceof RecordValidationException
            ? ((RecordValidationException) failure).invalidException() : failure;
        return Errors.forException(cause).name();
    }

    private static String answer(String[] words) throws Exception {
        switch (words[0]) {
            case "build": return hex(build(words));
            case "marker": return hex(marker(words));
            case "control": return hex(control(words));
            case "read": return read(bytes(words[1]));
            case "validate": return validate(words);
            case "retain": return hex(retain(words));
            default: throw new IllegalArgumentException("no such question: " + words[0]);
        }
    }

    // build magic codec level timestampType baseOffset logAppendTime producerId epoch sequence transactional control
    //       leaderEpoch deleteHorizon record...
    private static ByteBuffer build(String[] words) {
        byte magic = Byte.parseByte(words[1]);
        boolean isControl = words[11].equals("1");
        ByteBufferOutputStream stream = new ByteBufferOutputStream(512);
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(stream, magic, compression(words[2], words[3]),
            timestampType(words[4]), Long.parseLong(words[5]), Long.parseLong(words[6]), Long.parseLong(words[7]),
            Short.parseShort(words[8]), Integer.parseInt(words[9]), words[10].equals("1"), isControl,
            Integer.parseInt(words[12]), Integer.MAX_VALUE, Long.parseLong(words[13]));
        for (int index = 14; index < words.length; index++) {
            String[] parts = words[index].split(":", -1);
            SimpleRecord record = new SimpleRecord(Long.parseLong(parts[1]), bytes(parts[2]), bytes(parts[3]),
                headers(parts[4]));
            if (isControl) {
                builder.appendControlRecordWithOffset(Long.parseLong(parts[0]), record);
            } else {
                builder.appendWithOffset(Long.parseLong(parts[0]), record);
            }
        }
        return builder.build().buffer();
    }

    private static Header[] headers(String text) {
        List<Header> headers = new ArrayList<>();
        if (!text.isEmpty()) {
            for (String header : text.split(",")) {
                String[] sides = header.split("=", -1);
                headers.add(new RecordHeader(new String(bytes(sides[0]), StandardCharsets.UTF_8), bytes(sides[1])));
            }
        }
        return headers.toArray(new Header[0]);
    }

    // marker kind baseOffset timestamp leaderEpoch producerId epoch coordinatorEpoch
    private static ByteBuffer marker(String[] words) {
        EndTransactionMarker marker =
            new EndTransactionMarker(ControlRecordType.valueOf(words[1]), Integer.parseInt(words[7]));
        return MemoryRecords.withEndTransactionMarker(Long.parseLong(words[2]), Long.parseLong(words[3]),
            Integer.parseInt(words[4]), Long.parseLong(words[5]), Short.parseShort(words[6]), marker).buffer();
    }

    // control kind baseOffset timestamp leaderEpoch
    private static ByteBuffer control(String[] words) {
        long offset = Long.parseLong(words[2]);
        long timestamp = Long.parseLong(words[3]);
        int epoch = Integer.parseInt(words[4]);
        ByteBuffer buffer = ByteBuffer.allocate(1024);
        switch (ControlRecordType.valueOf(words[1])) {
            case LEADER_CHANGE:
                return MemoryRecords.withLeaderChangeMessage(offset, timestamp, epoch, buffer,
                    new LeaderChangeMessage().setLeaderId(5)).buffer();
            case SNAPSHOT_HEADER:
                return MemoryRecords.withSnapshotHeaderRecord(offset, timestamp, epoch, buffer,
                    new SnapshotHeaderRecord().setLastContainedLogTimestamp(77)).buffer();
            case SNAPSHOT_FOOTER:
                return MemoryRecords.withSnapshotFooterRecord(offset, timestamp, epoch, buffer,
                    new SnapshotFooterRecord()).buffer();
            case KRAFT_VERSION:
                return MemoryRecords.withKRaftVersionRecord(offset, timestamp, epoch, buffer,
                    new KRaftVersionRecord().setKRaftVersion((short) 1)).buffer();
            case KRAFT_VOTERS:
                return MemoryRecords.withVotersRecord(offset, timestamp, epoch, buffer, new VotersRecord()).buffer();
            default: throw new IllegalArgumentException("not a control record of the quorum: " + words[1]);
        }
    }

    private static String read(byte[] input) {
        StringBuilder text = new StringBuilder();
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(input)).batches()) {
            batch.ensureValid();
            describe(batch, text);
            try (CloseableIterator<Record> records = batch.streamingIterator(BufferSupplier.NO_CACHING)) {
                while (records.hasNext()) {
                    describe(records.next(), text);
                }
            }
        }
        return text.toString();
    }

    private static void describe(MutableRecordBatch batch, StringBuilder text) {
        OptionalLong horizon = batch.deleteHorizonMs();
        TimestampType type = batch.timestampType();
        text.append("batch magic=").append(batch.magic()).append(" last=").append(batch.lastOffset())
            .append(" size=").append(batch.sizeInBytes()).append(" codec=").append(batch.compressionType().name)
            .append(" type=").append(type == TimestampType.LOG_APPEND_TIME ? "LogAppendTime" : "CreateTime")
            .append(" max=").append(batch.maxTimestamp()).append(" epoch=").append(batch.partitionLeaderEpoch());
        if (batch.magic() >= 2) {
            text.append(" base=").append(batch.baseOffset()).append(" producer=").append(batch.producerId())
                .append('/').append(batch.producerEpoch()).append('/').append(batch.baseSequence())
                .append('/').append(batch.lastSequence()).append(" count=").append(batch.countOrNull())
                .append(" transactional=").append(batch.isTransactional())
                .append(" control=").append(batch.isControlBatch()).append(" crc=").append(batch.checksum())
                .append(" horizon=").append(horizon.isPresent() ? Long.toString(horizon.getAsLong()) : "-")
                .append(" next=").append(batch.nextOffset());
        }
        text.append(';');
    }

    private static void describe(Record record, StringBuilder text) {
        text.append(record.offset()).append(':').append(record.timestamp()).append(':').append(record.sequence())
            .append(':').append(hex(record.key())).append(':').append(hex(record.value())).append(':');
        for (Header header : record.headers()) {
            byte[] value = header.value();
            text.append(hex(ByteBuffer.wrap(header.key().getBytes(StandardCharsets.UTF_8)))).append('=')
                .append(value == null ? "-" : hex(ByteBuffer.wrap(value))).append(',');
        }
        text.append(';');
    }

    // validate origin compacted timestampType now before after target level leaderEpoch batchBytesMax startOffset
    //          recordBytesMax bytes
    private static String validate(String[] words) throws Exception {
        AppendOrigin origin = AppendOrigin.valueOf(words[1]);
        int leaderEpoch = Integer.parseInt(words[9]);
        int batchBytesMax = Integer.parseInt(words[10]);
        MemoryRecords records = MemoryRecords.readableRecords(ByteBuffer.wrap(bytes(words[13])));
        if (origin == AppendOrigin.CLIENT) {
            ProduceRequest.validateRecords((short) 11, records);
        }
        CompressionType source = CompressionType.NONE;
        int validBytes = 0;
        for (MutableRecordBatch batch : records.batches()) {
            askBeforeTheValidator(batch, origin, leaderEpoch, batchBytesMax);
            validBytes += batch.sizeInBytes();
            if (batch.compressionType() != CompressionType.NONE) {
                source = batch.compressionType();
            }
        }
        ByteBuffer trimmed = records.buffer().duplicate();
        trimmed.limit(validBytes);
        Compression target = words[7].equals("producer") ? Compression.of(source).build()
            : compression(words[7], words[8]);
        LogValidator validator = new LogValidator(MemoryRecords.readableRecords(trimmed), new TopicPartition("t", 0),
            new FixedTime(Long.parseLong(words[4])), source, target, words[2].equals("1"), (byte) 2,
            timestampType(words[3]), Long.parseLong(words[5]), Long.parseLong(words[6]), leaderEpoch, origin,
            Integer.parseInt(words[12]));
        LogValidator.ValidationResult result = validator.validateMessagesAndAssignOffsets(
            PrimitiveRef.ofLong(Long.parseLong(words[11])), new NoMetrics(), BufferSupplier.NO_CACHING);
        return result.maxTimestampMs() + " " + result.messageSizeMaybeChanged() + " "
            + hex(result.validatedRecords().buffer());
    }

    // retain now deleteRetention offsets bytes: what compaction leaves when only these offsets stay
    private static ByteBuffer retain(String[] words) {
        Set<Long> kept = new HashSet<>();
        for (String offset : words[3].split(",")) {
            kept.add(Long.parseLong(offset));
        }
        byte[] input = bytes(words[4]);
        MemoryRecords.RecordFilter filter = new MemoryRecords.RecordFilter(Long.parseLong(words[1]),
            Long.parseLong(words[2])) {
            @Override protected BatchRetentionResult checkBatchRetention(RecordBatch batch) {
                return new BatchRetentionResult(BatchRetention.DELETE_EMPTY, false);
            }

            @Override protected boolean shouldRetainRecord(RecordBatch batch, Record record) {
                return kept.contains(record.offset());
            }
        };
        ByteBuffer output = MemoryRecords.readableRecords(ByteBuffer.wrap(input))
            .filterTo(filter, ByteBuffer.allocate(64 + 8 * input.length), BufferSupplier.NO_CACHING, Integer.MAX_VALUE)
            .outputBuffer();
        output.flip();
        return output;
    }

    /** The rules that Kafka's log applies to each batch before it calls the validator. */
    private static void askBeforeTheValidator(MutableRecordBatch batch, AppendOrigin origin, int leaderEpoch, int max) {
        if (origin == AppendOrigin.RAFT_LEADER && batch.partitionLeaderEpoch() != leaderEpoch) {
            throw new InvalidRecordException("leader epoch");
        }
        if (origin == AppendOrigin.CLIENT && batch.baseOffset() != 0) {
            throw new InvalidRecordException("base offset");
        }
        if (origin == AppendOrigin.CLIENT && batch.sizeInBytes() > max) {
            throw new RecordTooLargeException("size");
        }
        if (!batch.isValid()) {
            throw new CorruptRecordException("checksum");
        }
    }

    private static Compression compression(String name, String level) {
        boolean isDefault = level.equals("default");
        switch (CompressionType.forName(name)) {
            case GZIP: return isDefault ? Compression.gzip().build()
                : Compression.gzip().level(Integer.parseInt(level)).build();
            case LZ4: return isDefault ? Compression.lz4().build()
                : Compression.lz4().level(Integer.parseInt(level)).build();
            case ZSTD: return isDefault ? Compression.zstd().build()
                : Compression.zstd().level(Integer.parseInt(level)).build();
            default: return Compression.of(name).build();
        }
    }

    private static TimestampType timestampType(String name) {
        return TimestampType.forName(name);
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? null : HEX.parseHex(text.substring(1));
    }

    private static String hex(ByteBuffer buffer) {
        if (buffer == null) {
            return "-";
        }
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return "x" + HEX.formatHex(bytes);
    }

    private static final class FixedTime implements Time {
        private final long now;

        FixedTime(long now) {
            this.now = now;
        }

        @Override public long milliseconds() { return now; }
        @Override public long nanoseconds() { return now * 1_000_000; }
        @Override public void sleep(long milliseconds) { }
    }

    private static final class NoMetrics implements LogValidator.MetricsRecorder {
        @Override public void recordInvalidMagic() { }
        @Override public void recordInvalidOffset() { }
        @Override public void recordInvalidSequence() { }
        @Override public void recordInvalidChecksums() { }
        @Override public void recordNoKeyCompactedTopic() { }
    }
}
