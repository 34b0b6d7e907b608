import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ConsumerGroupHeartbeatRequestData;
import org.apache.kafka.common.metadata.PartitionRecord;
import org.apache.kafka.common.metadata.TopicRecord;
import org.apache.kafka.coordinator.common.runtime.KRaftCoordinatorMetadataImage;
import org.apache.kafka.coordinator.group.api.assignor.ConsumerGroupPartitionAssignor;
import org.apache.kafka.coordinator.group.api.assignor.GroupAssignment;
import org.apache.kafka.coordinator.group.api.assignor.PartitionAssignorException;
import org.apache.kafka.coordinator.group.api.assignor.SubscribedTopicDescriber;
import org.apache.kafka.coordinator.group.api.assignor.SubscriptionType;
import org.apache.kafka.coordinator.group.assignor.RangeAssignor;
import org.apache.kafka.coordinator.group.assignor.UniformAssignor;
import org.apache.kafka.coordinator.group.modern.Assignment;
import org.apache.kafka.coordinator.group.modern.GroupSpecImpl;
import org.apache.kafka.coordinator.group.modern.MemberState;
import org.apache.kafka.coordinator.group.modern.MemberSubscriptionAndAssignmentImpl;
import org.apache.kafka.coordinator.group.modern.consumer.ConsumerGroupMember;
import org.apache.kafka.coordinator.group.modern.consumer.CurrentAssignmentBuilder;
import org.apache.kafka.image.MetadataDelta;
import org.apache.kafka.image.MetadataImage;
import org.apache.kafka.image.MetadataProvenance;

/**
 * Answers questions about consumer groups with Apache Kafka's own code: one line in, one line out.
 *
 * assign ASSIGNOR HOMOGENEOUS|HETEROGENEOUS TOPIC=COUNT,... MEMBER|INSTANCE|TOPIC,...|PARTITIONS;...
 * reconcile EPOCH PREVIOUS STATE ASSIGNED PENDING TARGET_EPOCH TARGET TOPIC,... CHANGED OWNED HELD
 *
 * Partitions are TOPIC:NUMBER or TOPIC:NUMBER:EPOCH with commas between, a dash for none; "null" for what is not said.
 */
public class ConsumerGroupsOracle {
    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            String[] words = line.split(" ");
            String answer;
            try {
                answer = words[0].equals("assign") ? assign(words) : reconcile(words);
            } catch (Throwable failure) {
                answer = "error " + failure.getClass().getSimpleName();
            }
            out.println(answer);
            out.flush();
        }
    }

    private static List<String> list(String word) {
        return word.equals("-") ? List.of() : List.of(word.split(","));
    }

    private static Set<Uuid> ids(String word) {
        Set<Uuid> ids = new LinkedHashSet<>();
        list(word).forEach(id -> ids.add(Uuid.fromString(id)));
        return ids;
    }

    /** As it is after a replay of the record. */
    private static Map<Uuid, Set<Integer>> partitions(String word) {
        Map<Uuid, List<Integer>> listed = new LinkedHashMap<>();
        for (String partition : list(word)) {
            String[] parts = partition.split(":");
            listed.computeIfAbsent(Uuid.fromString(parts[0]), id -> new ArrayList<>()).add(Integer.parseInt(parts[1]));
        }
        Map<Uuid, Set<Integer>> partitions = new HashMap<>();
        listed.forEach((id, numbers) -> partitions.put(id, new HashSet<>(numbers)));
        return partitions;
    }

    private static Map<Uuid, Map<Integer, Integer>> held(String word) {
        if (word.equals("-")) return Map.of();
        Map<Uuid, Map<Integer, Integer>> held = new HashMap<>();
        for (String partition : list(word)) {
            String[] parts = partition.split(":");
            held.computeIfAbsent(Uuid.fromString(parts[0]), id -> new HashMap<>())
                .put(Integer.parseInt(parts[1]), Integer.parseInt(parts[2]));
        }
        return held;
    }

    private static String text(Set<String> partitions) {
        return partitions.isEmpty() ? "-" : String.join(",", partitions);
    }

    private static String assign(String[] words) {
        ConsumerGroupPartitionAssignor assignor = words[1].equals("range") ? new RangeAssignor() : new UniformAssignor();
        Map<Uuid, Integer> counts = new HashMap<>();
        for (String topic : list(words[3])) {
            String[] parts = topic.split("=");
            counts.put(Uuid.fromString(parts[0]), Integer.parseInt(parts[1]));
        }
        Map<String, MemberSubscriptionAndAssignmentImpl> members = new HashMap<>();
        Map<Uuid, Map<Integer, String>> owners = new HashMap<>();
        for (String member : words[4].split(";")) {
            String[] parts = member.split("\\|");
            Map<Uuid, Set<Integer>> partitions = partitions(parts[3]);
            partitions.forEach((id, numbers) -> numbers.forEach(number ->
                owners.computeIfAbsent(id, topic -> new HashMap<>()).put(number, parts[0])));
            Optional<String> instance = parts[1].isEmpty() ? Optional.empty() : Optional.of(parts[1]);
            members.put(parts[0], new MemberSubscriptionAndAssignmentImpl(
                Optional.empty(), instance, ids(parts[2]), new Assignment(partitions)));
        }
        GroupAssignment assignment;
        try {
            assignment = assignor.assign(
                new GroupSpecImpl(members, SubscriptionType.valueOf(words[2]), owners), describer(counts));
        } catch (PartitionAssignorException refused) {
            return "refused";
        }
        Map<String, String> answer = new TreeMap<>();
        for (String memberId : members.keySet()) {
            Set<String> partitions = new TreeSet<>();
            if (assignment.members().containsKey(memberId)) {
                assignment.members().get(memberId).partitions().forEach((id, numbers) ->
                    numbers.forEach(number -> partitions.add(id + ":" + number)));
            }
            answer.put(memberId, memberId + "|" + text(partitions));
        }
        return String.join(";", answer.values());
    }

    private static SubscribedTopicDescriber describer(Map<Uuid, Integer> counts) {
        return new SubscribedTopicDescriber() {
            @Override
            public int numPartitions(Uuid topicId) {
                return counts.getOrDefault(topicId, -1);
            }

            @Override
            public Set<String> racksForPartition(Uuid topicId, int partition) {
                return Collections.emptySet();
            }
        };
    }

    private static String reconcile(String[] words) {
        ConsumerGroupMember member = new ConsumerGroupMember.Builder("member")
            .setMemberEpoch(Integer.parseInt(words[1]))
            .setPreviousMemberEpoch(Integer.parseInt(words[2]))
            .setState(MemberState.fromValue(Byte.parseByte(words[3])))
            .setAssignedPartitions(held(words[4]))
            .setPartitionsPendingRevocation(held(words[5]))
            .setSubscribedTopicNames(list(words[8]))
            .build();
        List<ConsumerGroupHeartbeatRequestData.TopicPartitions> owned = null;
        if (!words[10].equals("null")) {
            List<ConsumerGroupHeartbeatRequestData.TopicPartitions> said = new ArrayList<>();
            partitions(words[10]).forEach((id, numbers) -> said.add(new ConsumerGroupHeartbeatRequestData.TopicPartitions()
                .setTopicId(id).setPartitions(new ArrayList<>(numbers))));
            owned = said;
        }
        Map<Uuid, Set<Integer>> taken = partitions(words[11]);
        ConsumerGroupMember next = new CurrentAssignmentBuilder(member)
            .withMetadataImage(new KRaftCoordinatorMetadataImage(image(ids(words[8]))))
            .withTargetAssignment(Integer.parseInt(words[6]), new Assignment(partitions(words[7])))
            .withHasSubscriptionChanged(words[9].equals("true"))
            .withResolvedRegularExpressions(Map.of())
            .withCurrentPartitionEpoch((id, number) -> taken.getOrDefault(id, Set.of()).contains(number) ? 1 : -1)
            .withOwnedTopicPartitions(owned)
            .build();
        return next.memberEpoch() + " " + next.previousMemberEpoch() + " " + next.state().value()
            + " " + heldText(next.assignedPartitions()) + " " + heldText(next.partitionsPendingRevocation());
    }

    /** Topics that bear their ids as names. */
    private static MetadataImage image(Set<Uuid> topicIds) {
        MetadataDelta delta = new MetadataDelta.Builder().setImage(MetadataImage.EMPTY).build();
        for (Uuid id : topicIds) {
            delta.replay(new TopicRecord().setTopicId(id).setName(id.toString()));
            delta.replay(new PartitionRecord().setTopicId(id).setPartitionId(0));
        }
        return delta.apply(MetadataProvenance.EMPTY);
    }

    private static String heldText(Map<Uuid, Map<Integer, Integer>> held) {
        Set<String> partitions = new TreeSet<>();
        held.forEach((id, epochs) -> epochs.forEach((number, epoch) -> partitions.add(id + ":" + number + ":" + epoch)));
        return text(partitions);
    }
}
