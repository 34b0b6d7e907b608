import java.io.File;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.record.internal.FileRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.image.MetadataDelta;
import org.apache.kafka.image.MetadataImage;
import org.apache.kafka.image.MetadataProvenance;
import org.apache.kafka.image.node.MetadataImageNode;
import org.apache.kafka.image.node.MetadataNode;
import org.apache.kafka.image.node.printer.MetadataNodeRedactionCriteria;
import org.apache.kafka.image.node.printer.NodeStringifier;
import org.apache.kafka.common.metadata.AbortTransactionRecord;
import org.apache.kafka.common.metadata.BeginTransactionRecord;
import org.apache.kafka.common.metadata.EndTransactionRecord;
import org.apache.kafka.metadata.MetadataRecordSerde;
import org.apache.kafka.server.common.ApiMessageAndVersion;

/**
 * Prints the metadata that the records of files (a snapshot, segments of the log, in order) make, as the tree that the
 * metadata shell walks: a line "path value" for each leaf, a line "path/" for each directory.
 */
public class MetadataTree {
    public static void main(String[] files) throws Exception {
        MetadataDelta delta = new MetadataDelta.Builder().setImage(MetadataImage.EMPTY).build();
        MetadataProvenance provenance = MetadataProvenance.EMPTY;
        for (String file : files) {
            for (RecordBatch batch : FileRecords.open(new File(file), false).batches()) {
                if (batch.isControlBatch()) {
                    continue;
                }
                for (Record record : batch) {
                    ApiMessageAndVersion message = MetadataRecordSerde.INSTANCE.read(
                        new ByteBufferAccessor(record.value()), record.valueSize());
                    Object body = message.message();
                    if (body instanceof BeginTransactionRecord || body instanceof EndTransactionRecord
                            || body instanceof AbortTransactionRecord) {
                        continue;
                    }
                    delta.replay(message.message());
                }
                provenance = new MetadataProvenance(
                    batch.lastOffset(), batch.partitionLeaderEpoch(), batch.maxTimestamp(), true);
            }
        }
        print("/image", new MetadataImageNode(delta.apply(provenance)));
    }

    private static void print(String path, MetadataNode node) {
        if (!node.isDirectory()) {
            NodeStringifier text = new NodeStringifier(MetadataNodeRedactionCriteria.Disabled.INSTANCE);
            node.print(text);
            System.out.println(path + " " + text);
            return;
        }
        System.out.println(path + "/");
        List<String> names = new ArrayList<>(node.childNames());
        Collections.sort(names);
        for (String name : names) {
            print(path + "/" + name, node.child(name));
        }
    }
}
