// The adapter for franz-go: `franz-go BOOTSTRAP`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"ottla/clients/line"
)

// patience ends what the library would retry for ever. A job's own deadline is longer.
const patience = 60 * time.Second

// batchBytesMax is what a topic takes by default (max.message.bytes); the library would stop a little below it.
const batchBytesMax = 1_048_588

type client struct {
	bootstrap string
	admin     *kadm.Client
	member    *member
	producer  *kgo.Client
	id        string
}

func main() {
	c := &client{bootstrap: os.Args[1]}
	// A job looks until it sees what it changed; what the library remembers of the cluster must not be much older.
	c.admin = kadm.NewClient(must(kgo.NewClient(kgo.SeedBrokers(c.bootstrap), kgo.MetadataMinAge(50*time.Millisecond))))
	line.Adapter{
		Client: "franz-go",
		Module: "github.com/twmb/franz-go",
		Lacks:  map[string]string{},
		Kind:   kind,
		Operations: map[string]line.Operation{
			"create_topic": c.createTopic, "grow_topic": c.growTopic, "delete_topic": c.deleteTopic,
			"partitions": c.partitions, "produce": c.produce, "fetch": c.fetch, "offsets": c.offsets,
			"subscribe": c.subscribe, "poll": c.poll, "commit": c.commit, "leave": c.leave,
			"committed": c.committed, "list_groups": c.listGroups, "describe_group": c.describeGroup,
			"delete_group": c.deleteGroup, "describe_config": c.describeConfig, "alter_config": c.alterConfig,
			"delete_records": c.deleteRecords, "init_transactions": c.initTransactions, "begin": c.begin,
			"send": c.send, "send_offsets": c.sendOffsets, "end": c.end,
		},
	}.Serve()
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return value
}

func kind(err error) string {
	switch {
	case errors.Is(err, kerr.TopicAlreadyExists):
		return "exists"
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return "unknown_topic"
	case errors.Is(err, kerr.InvalidConfig):
		return "invalid_config"
	case errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch):
		return "fenced"
	case errors.Is(err, kerr.NonEmptyGroup):
		return "not_empty"
	}
	return ""
}

func limited() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), patience)
}

func (c *client) createTopic(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	configs := map[string]*string{}
	for name, value := range command.Configs {
		configs[name] = &value
	}
	_, err := c.admin.CreateTopic(ctx, command.Partitions, 1, configs, command.Topic)
	return nil, err
}

func (c *client) growTopic(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	responses, err := c.admin.UpdatePartitions(ctx, int(command.Partitions), command.Topic)
	if err == nil {
		err = responses.Error()
	}
	return nil, err
}

func (c *client) deleteTopic(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	_, err := c.admin.DeleteTopic(ctx, command.Topic)
	return nil, err
}

func (c *client) partitions(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	topics, err := c.admin.ListTopics(ctx)
	return line.Answer{"partitions": len(topics[command.Topic].Partitions)}, err
}

func codec(name string) kgo.CompressionCodec {
	return map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}[name]
}

func toSend(command line.Command) []*kgo.Record {
	var records []*kgo.Record
	for _, record := range command.Records {
		out := &kgo.Record{Topic: command.Topic, Key: record.Key, Value: record.Value}
		if command.Partition != nil {
			out.Partition = *command.Partition
		}
		if record.Timestamp != nil {
			out.Timestamp = time.UnixMilli(*record.Timestamp)
		}
		for _, header := range record.Headers {
			out.Headers = append(out.Headers, kgo.RecordHeader{Key: header.Key, Value: header.Value})
		}
		records = append(records, out)
	}
	return records
}

func (c *client) produce(command line.Command) (line.Answer, error) {
	options := []kgo.Opt{
		kgo.SeedBrokers(c.bootstrap), kgo.ProducerBatchCompression(codec(command.Codec)),
		kgo.ProducerBatchMaxBytes(batchBytesMax),
	}
	if command.Partition != nil {
		options = append(options, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	}
	if !command.Idempotent {
		options = append(options, kgo.DisableIdempotentWrite())
	}
	producer, err := kgo.NewClient(options...)
	if err != nil {
		return nil, err
	}
	defer producer.Close()
	ctx, cancel := limited()
	defer cancel()
	return nil, producer.ProduceSync(ctx, toSend(command)...).FirstErr()
}

func received(record *kgo.Record) line.Record {
	headers := []line.Header{}
	for _, header := range record.Headers {
		headers = append(headers, line.Header{Key: header.Key, Value: header.Value})
	}
	return line.Record{
		Partition: record.Partition, Offset: record.Offset, Timestamp: new(record.Timestamp.UnixMilli()),
		Key: record.Key, Value: record.Value, Headers: headers,
	}
}

// polled is what one call of the library's gives within `ms`.
func polled(from *kgo.Client, ms int64, count int) ([]line.Record, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(ms)*time.Millisecond)
	defer cancel()
	fetches := from.PollRecords(ctx, count)
	records := []line.Record{}
	for _, record := range fetches.Records() {
		records = append(records, received(record))
	}
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) {
			return records, failed.Err
		}
	}
	return records, nil
}

func (c *client) fetch(command line.Command) (line.Answer, error) {
	isolation := kgo.ReadUncommitted()
	if command.Committed {
		isolation = kgo.ReadCommitted()
	}
	at := map[int32]kgo.Offset{*command.Partition: kgo.NewOffset().At(command.Offset)}
	consumer, err := kgo.NewClient(kgo.SeedBrokers(c.bootstrap), kgo.FetchIsolationLevel(isolation),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{command.Topic: at}))
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	records := []line.Record{}
	for len(records) < command.Count {
		more, err := polled(consumer, command.Ms, command.Count-len(records))
		if err != nil {
			return nil, err
		}
		if len(more) == 0 {
			break
		}
		records = append(records, more...)
	}
	return line.Answer{"records": records}, nil
}

func (c *client) offsets(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	answer := line.Answer{"at": nil}
	one := func(name string, listed kadm.ListedOffsets, err error) error {
		if err != nil {
			return err
		}
		offset, there := listed.Lookup(command.Topic, *command.Partition)
		if !there {
			return kerr.UnknownTopicOrPartition
		}
		answer[name] = offset.Offset
		// Where no record is as late, the library gives the end of the partition, without a record's time.
		if name == "at" && offset.Timestamp < 0 {
			answer[name] = nil
		}
		return offset.Err
	}
	earliest, err := c.admin.ListStartOffsets(ctx, command.Topic)
	if err := one("earliest", earliest, err); err != nil {
		return nil, err
	}
	latest, err := c.admin.ListEndOffsets(ctx, command.Topic)
	if err := one("latest", latest, err); err != nil {
		return nil, err
	}
	if command.Timestamp != nil {
		after, err := c.admin.ListOffsetsAfterMilli(ctx, *command.Timestamp, command.Topic)
		if err := one("at", after, err); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// member is a consumer of a group, and what it owns by what it is told.
type member struct {
	consumer *kgo.Client
	mutex    sync.Mutex
	owned    map[int32]bool
}

func (m *member) assigned(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, partitions := range topics {
		for _, partition := range partitions {
			m.owned[partition] = true
		}
	}
}

func (m *member) gone(_ context.Context, _ *kgo.Client, topics map[string][]int32) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, partitions := range topics {
		for _, partition := range partitions {
			delete(m.owned, partition)
		}
	}
}

func (m *member) partitions() []int32 {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	partitions := []int32{}
	for partition := range m.owned {
		partitions = append(partitions, partition)
	}
	slices.Sort(partitions)
	return partitions
}

func (c *client) subscribe(command line.Command) (line.Answer, error) {
	m := &member{owned: map[int32]bool{}}
	options := []kgo.Opt{
		kgo.SeedBrokers(c.bootstrap), kgo.ConsumerGroup(command.Group), kgo.ConsumeTopics(command.Topic),
		kgo.HeartbeatInterval(300 * time.Millisecond), kgo.SessionTimeout(10 * time.Second),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(m.assigned), kgo.OnPartitionsRevoked(m.gone), kgo.OnPartitionsLost(m.gone),
	}
	switch command.Strategy {
	case "eager":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()))
	case "cooperative":
		options = append(options, kgo.Balancers(kgo.CooperativeStickyBalancer()))
	case "range":
		options = append(options, kgo.Balancers(kgo.RangeBalancer()), kgo.ServerSideBalancer())
	case "uniform":
		// The library asks for the uniform assignor where it is given the sticky balancer.
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	}
	if command.Instance != nil {
		options = append(options, kgo.InstanceID(*command.Instance))
	}
	var err error
	m.consumer, err = kgo.NewClient(options...)
	c.member = m
	return nil, err
}

func (c *client) poll(command line.Command) (line.Answer, error) {
	records, err := polled(c.member.consumer, command.Ms, -1)
	return line.Answer{"records": records, "assigned": c.member.partitions()}, err
}

// commit commits all that was polled. What a rebalance keeps from being committed is not an error.
func (c *client) commit(line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	err := c.member.consumer.CommitUncommittedOffsets(ctx)
	for _, amid := range []error{kerr.RebalanceInProgress, kerr.IllegalGeneration, kerr.UnknownMemberID, kerr.StaleMemberEpoch} {
		if errors.Is(err, amid) {
			return line.Answer{"committed": false}, nil
		}
	}
	return line.Answer{"committed": err == nil}, err
}

func (c *client) leave(command line.Command) (line.Answer, error) {
	if _, err := c.commit(command); err != nil {
		return nil, err
	}
	c.member.consumer.Close()
	c.member = nil
	return nil, nil
}

func (c *client) committed(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	offsets, err := c.admin.FetchOffsetsForTopics(ctx, command.Group, command.Topic)
	if err != nil {
		return nil, err
	}
	offset, there := offsets.Lookup(command.Topic, *command.Partition)
	if !there || offset.At < 0 {
		return line.Answer{"offset": nil}, nil
	}
	return line.Answer{"offset": offset.At}, offset.Err
}

func (c *client) listGroups(line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	groups, err := c.admin.ListGroups(ctx)
	return line.Answer{"groups": groups.Groups()}, err
}

// describeGroup asks as for a group of the consumer protocol first: groups of the classic one are not found there.
func (c *client) describeGroup(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	groups, err := c.admin.DescribeConsumerGroups(ctx, command.Group)
	if err == nil && groups[command.Group].Err == nil {
		group := groups[command.Group]
		return line.Answer{"state": group.State, "members": len(group.Members)}, nil
	}
	classic, err := c.admin.DescribeGroups(ctx, command.Group)
	if err != nil {
		return nil, err
	}
	group := classic[command.Group]
	return line.Answer{"state": group.State, "members": len(group.Members)}, group.Err
}

func (c *client) deleteGroup(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	_, err := c.admin.DeleteGroup(ctx, command.Group)
	return nil, err
}

func (c *client) describeConfig(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	described, err := c.admin.DescribeTopicConfigs(ctx, command.Topic)
	if err != nil {
		return nil, err
	}
	topic, err := described.On(command.Topic, nil)
	if err == nil {
		err = topic.Err
	}
	for _, config := range topic.Configs {
		if config.Key == command.Name {
			return line.Answer{"value": config.Value}, err
		}
	}
	return line.Answer{"value": nil}, err
}

func (c *client) alterConfig(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	set := kadm.AlterConfig{Op: kadm.SetConfig, Name: command.Name, Value: &command.Value}
	altered, err := c.admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{set}, command.Topic)
	if err != nil {
		return nil, err
	}
	topic, err := altered.On(command.Topic, nil)
	if err == nil {
		err = topic.Err
	}
	return nil, err
}

func (c *client) deleteRecords(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	var offsets kadm.Offsets
	offsets.AddOffset(command.Topic, *command.Partition, command.Offset, -1)
	deleted, err := c.admin.DeleteRecords(ctx, offsets)
	if err == nil {
		err = deleted.Error()
	}
	return nil, err
}

func (c *client) initTransactions(command line.Command) (line.Answer, error) {
	var err error
	c.id = command.TransactionalID
	c.producer, err = kgo.NewClient(kgo.SeedBrokers(c.bootstrap), kgo.TransactionalID(c.id),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return nil, err
	}
	ctx, cancel := limited()
	defer cancel()
	// The library asks for its producer id when it first needs one; a job wants the older producer fenced now.
	_, _, err = c.producer.ProducerID(ctx)
	return nil, err
}

func (c *client) begin(line.Command) (line.Answer, error) {
	return nil, c.producer.BeginTransaction()
}

func (c *client) send(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	return nil, c.producer.ProduceSync(ctx, toSend(command)...).FirstErr()
}

// sendOffsets speaks kmsg: the library's own session for this commits what its own member has polled, and nothing else.
func (c *client) sendOffsets(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	id, epoch, err := c.producer.ProducerID(ctx)
	if err != nil {
		return nil, err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = c.id, id, epoch, command.Group
	added, err := add.RequestWith(ctx, c.producer)
	if err == nil {
		err = kerr.ErrorForCode(added.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	// The newest version of the request names topics by id, older ones by name.
	topics, err := c.admin.ListTopics(ctx, command.Topic)
	if err != nil {
		return nil, err
	}
	partition := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	partition.Partition, partition.Offset = *command.Partition, command.Offset
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic, topic.TopicID = command.Topic, topics[command.Topic].ID
	topic.Partitions = []kmsg.TxnOffsetCommitRequestTopicPartition{partition}
	commit := kmsg.NewPtrTxnOffsetCommitRequest()
	commit.TransactionalID, commit.ProducerID, commit.ProducerEpoch, commit.Group = c.id, id, epoch, command.Group
	commit.Topics = []kmsg.TxnOffsetCommitRequestTopic{topic}
	committed, err := commit.RequestWith(ctx, c.producer)
	if err != nil {
		return nil, err
	}
	return nil, kerr.ErrorForCode(committed.Topics[0].Partitions[0].ErrorCode)
}

func (c *client) end(command line.Command) (line.Answer, error) {
	ctx, cancel := limited()
	defer cancel()
	return nil, c.producer.EndTransaction(ctx, kgo.TransactionEndTry(command.Commit))
}
