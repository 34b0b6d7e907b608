package org.apache.kafka.controller;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.message.AlterPartitionReassignmentsRequestData;
import org.apache.kafka.common.message.AlterPartitionRequestData;
import org.apache.kafka.common.message.AssignReplicasToDirsRequestData;
import org.apache.kafka.common.message.BrokerHeartbeatRequestData;
import org.apache.kafka.common.message.BrokerHeartbeatResponseData;
import org.apache.kafka.common.message.BrokerRegistrationRequestData;
import org.apache.kafka.common.message.BrokerRegistrationResponseData;
import org.apache.kafka.common.message.ElectLeadersRequestData;
import org.apache.kafka.common.message.ListPartitionReassignmentsRequestData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.UnregisterBrokerRequestData;
import org.apache.kafka.common.message.UnregisterBrokerResponseData;
import org.apache.kafka.common.metadata.BrokerRegistrationChangeRecord;
import org.apache.kafka.common.metadata.ClearElrRecord;
import org.apache.kafka.common.metadata.ConfigRecord;
import org.apache.kafka.common.metadata.FeatureLevelRecord;
import org.apache.kafka.common.metadata.MetadataRecordType;
import org.apache.kafka.common.metadata.PartitionChangeRecord;
import org.apache.kafka.common.metadata.PartitionRecord;
import org.apache.kafka.common.metadata.RegisterBrokerRecord;
import org.apache.kafka.common.metadata.RemoveTopicRecord;
import org.apache.kafka.common.metadata.TopicRecord;
import org.apache.kafka.common.metadata.UnregisterBrokerRecord;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.security.auth.KafkaPrincipal;
import org.apache.kafka.common.utils.Time;
import org.apache.kafka.metadata.BrokerHeartbeatReply;
import org.apache.kafka.metadata.FinalizedControllerFeatures;
import org.apache.kafka.metadata.MetadataRecordSerde;
import org.apache.kafka.server.common.ApiMessageAndVersion;
import org.apache.kafka.server.common.KRaftVersion;
import org.apache.kafka.timeline.SnapshotRegistry;

/**
 * Apache Kafka's own decisions about brokers and partitions: one line in, one line out. It is in Kafka's package because
 * the classes that decide are not public.
 *
 * reset CLUSTER_ID SESSION_TIMEOUT_MS              a controller without any metadata
 * replay OFFSET RECORD                             applies a record
 * time MS                                          sets the clock
 * register|heartbeat|unregister|alter|elect|reassign|assign|list VERSION REQUEST OFFSET
 * fence|balance|unclean                            periodic work
 *
 * Requests, responses and records are hexadecimal; OFFSET is that of the next record. Answers:
 *
 * ok RESPONSE RECORD...
 * error CODE MESSAGE
 */
public class ControllerOracle {
    private final MetadataRecordSerde serde = new MetadataRecordSerde();
    private final Clock clock = new Clock();
    private FeatureControlManager features;
    private ConfigurationControlManager configs;
    private ClusterControlManager cluster;
    private ReplicationControlManager replication;

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        // The classes log what they refuse.
        System.setOut(System.err);
        ControllerOracle oracle = new ControllerOracle();
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String answer;
            try {
                answer = oracle.answer(line.split(" "));
            } catch (ApiException refusal) {
                answer = "error " + Errors.forException(refusal).code() + " " + refusal.getMessage();
            } catch (Throwable failure) {
                answer = "failure " + failure;
            }
            out.println(answer.replace('\n', ' '));
            out.flush();
        }
    }

    /** A clock that is set by hand. */
    private static class Clock implements Time {
        private long ms = 0;

        @Override
        public long milliseconds() {
            return ms;
        }

        @Override
        public long nanoseconds() {
            return ms * 1_000_000;
        }

        @Override
        public void sleep(long ms) {
            throw new UnsupportedOperationException();
        }
    }

    private String answer(String[] words) {
        switch (words[0]) {
            case "reset":
                reset(words[1], Long.parseLong(words[2]));
                return "ok -";
            case "time":
                clock.ms = Long.parseLong(words[1]);
                return "ok -";
            case "replay":
                ByteBuffer bytes = ByteBuffer.wrap(HexFormat.of().parseHex(words[2]));
                replay(Long.parseLong(words[1]), serde.read(new ByteBufferAccessor(bytes), bytes.remaining()).message());
                return "ok -";
            case "fence":
                var fenced = replication.maybeFenceOneStaleBroker();
                while (fenced.response() && fenced.records().isEmpty()) {
                    fenced = replication.maybeFenceOneStaleBroker();
                }
                return said(null, (short) 0, fenced);
            case "balance":
                return said(null, (short) 0, replication.maybeBalancePartitionLeaders());
            case "unclean":
                return said(null, (short) 0, replication.maybeElectUncleanLeaders());
            default:
                ByteBuffer request = ByteBuffer.wrap(HexFormat.of().parseHex(words[2]));
                return request(words[0], Short.parseShort(words[1]), new ByteBufferAccessor(request),
                    Long.parseLong(words[3]));
        }
    }

    private void reset(String clusterId, long sessionTimeoutMs) {
        SnapshotRegistry snapshots = new SnapshotRegistry(new org.apache.kafka.common.utils.internals.LogContext());
        features = new FeatureControlManager.Builder().
            setSnapshotRegistry(snapshots).
            setQuorumFeatures(new QuorumFeatures(1, QuorumFeatures.defaultSupportedFeatureMap(true), List.of(1))).
            build();
        configs = new ConfigurationControlManager.Builder().
            setSnapshotRegistry(snapshots).
            setFeatureControl(features).
            setKafkaConfigSchema(kafka.server.KafkaRaftServer.configSchema()).
            setStaticConfig(Map.of()).
            build();
        cluster = new ClusterControlManager.Builder().
            setSnapshotRegistry(snapshots).
            setTime(clock).
            setClusterId(clusterId).
            setSessionTimeoutNs(sessionTimeoutMs * 1_000_000).
            setFeatureControlManager(features).
            setBrokerShutdownHandler((id, isClean, records) -> replication.handleBrokerShutdown(id, isClean, records)).
            build();
        replication = new ReplicationControlManager.Builder().
            setSnapshotRegistry(snapshots).
            setConfigurationControl(configs).
            setClusterControl(cluster).
            setFeatureControl(features).
            setCreateTopicPolicy(Optional.empty()).
            build();
        cluster.activate();
    }

    private void replay(long offset, ApiMessage record) {
        switch (MetadataRecordType.fromId(record.apiKey())) {
            case FEATURE_LEVEL_RECORD -> features.replay((FeatureLevelRecord) record);
            case CONFIG_RECORD -> configs.replay((ConfigRecord) record);
            case REGISTER_BROKER_RECORD -> cluster.replay((RegisterBrokerRecord) record, offset);
            case UNREGISTER_BROKER_RECORD -> cluster.replay((UnregisterBrokerRecord) record);
            case BROKER_REGISTRATION_CHANGE_RECORD -> cluster.replay((BrokerRegistrationChangeRecord) record);
            case TOPIC_RECORD -> replication.replay((TopicRecord) record);
            case PARTITION_RECORD -> replication.replay((PartitionRecord) record);
            case PARTITION_CHANGE_RECORD -> replication.replay((PartitionChangeRecord) record);
            case REMOVE_TOPIC_RECORD -> replication.replay((RemoveTopicRecord) record);
            case CLEAR_ELR_RECORD -> replication.replay((ClearElrRecord) record);
            default -> { }
        }
    }

    private String request(String kind, short version, ByteBufferAccessor in, long offset) {
        RequestHeaderData header = new RequestHeaderData().setRequestApiVersion(version);
        ControllerRequestContext context =
            new ControllerRequestContext(header, KafkaPrincipal.ANONYMOUS, OptionalLong.empty());
        switch (kind) {
            case "register":
                return register(version, new BrokerRegistrationRequestData(in, version), offset);
            case "heartbeat":
                return heartbeat(version, new BrokerHeartbeatRequestData(in, version), offset);
            case "unregister":
                int id = new UnregisterBrokerRequestData(in, version).brokerId();
                return said(new UnregisterBrokerResponseData(), version, replication.unregisterBroker(id));
            case "alter":
                return said(version, replication.alterPartition(context, new AlterPartitionRequestData(in, version)));
            case "elect":
                return said(version, replication.electLeaders(new ElectLeadersRequestData(in, version)));
            case "reassign":
                return said(version, replication.alterPartitionReassignments(
                    new AlterPartitionReassignmentsRequestData(in, version)));
            case "assign":
                return said(version, replication.handleAssignReplicasToDirs(
                    new AssignReplicasToDirsRequestData(in, version)));
            case "list":
                var topics = new ListPartitionReassignmentsRequestData(in, version).topics();
                return "ok " + hex(replication.listPartitionReassignments(topics, Long.MAX_VALUE), version);
            default:
                throw new IllegalArgumentException(kind);
        }
    }

    /** As QuorumController does it. */
    private String register(short version, BrokerRegistrationRequestData request, long offset) {
        Map<String, Short> levels = new HashMap<>(features.finalizedFeatures(Long.MAX_VALUE).featureMap());
        levels.put(KRaftVersion.FEATURE_NAME, (short) 0);
        var result = cluster.registerBroker(
            request, offset, new FinalizedControllerFeatures(levels, Long.MAX_VALUE), version >= 3);
        return said(new BrokerRegistrationResponseData().setBrokerEpoch(result.response().epoch()), version, result);
    }

    /** As QuorumController does it. */
    private String heartbeat(short version, BrokerHeartbeatRequestData request, long offset) {
        cluster.trackBrokerHeartbeat(request.brokerId(), request.brokerEpoch());
        OptionalLong registered = cluster.registerBrokerRecordOffset(request.brokerId());
        if (registered.isEmpty()) {
            return "error " + Errors.STALE_BROKER_EPOCH.code() + " not registered";
        }
        var result = replication.processBrokerHeartbeat(request, registered.getAsLong());
        BrokerHeartbeatReply reply = result.response();
        if (reply.inControlledShutdown()) {
            cluster.heartbeatManager().
                maybeUpdateControlledShutdownOffset(request.brokerId(), offset + result.records().size() - 1);
        }
        BrokerHeartbeatResponseData response = new BrokerHeartbeatResponseData().
            setIsCaughtUp(reply.isCaughtUp()).
            setIsFenced(reply.isFenced()).
            setShouldShutDown(reply.shouldShutDown());
        return said(response, version, result);
    }

    private String said(short version, ControllerResult<? extends ApiMessage> result) {
        return said(result.response(), version, result);
    }

    private String said(ApiMessage response, short version, ControllerResult<?> result) {
        List<String> words = new ArrayList<>();
        words.add("ok");
        words.add(response == null ? "-" : hex(response, version));
        for (ApiMessageAndVersion record : result.records()) {
            ObjectSerializationCache cache = new ObjectSerializationCache();
            ByteBuffer bytes = ByteBuffer.allocate(serde.recordSize(record, cache));
            serde.write(record, cache, new ByteBufferAccessor(bytes));
            words.add(HexFormat.of().formatHex(bytes.array()));
        }
        return String.join(" ", words);
    }

    private static String hex(ApiMessage message, short version) {
        ByteBufferAccessor bytes = MessageUtil.toByteBufferAccessor(message, version);
        byte[] array = new byte[bytes.remaining()];
        bytes.buffer().get(array);
        // A message may take no byte at all.
        return array.length == 0 ? "-" : HexFormat.of().formatHex(array);
    }
}
