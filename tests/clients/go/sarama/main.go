// The adapter for sarama: `sarama BOOTSTRAP`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"ottla/clients/line"
)

type client struct {
	bootstrap []string
	client    sarama.Client
	admin     sarama.ClusterAdmin
	member    *member
	producer  sarama.SyncProducer
}

func main() {
	c := &client{bootstrap: os.Args[1:2]}
	c.client = must(sarama.NewClient(c.bootstrap, config()))
	c.admin = must(sarama.NewClusterAdminFromClient(c.client))
	noServerAssignor := "has no consumer protocol (KIP-848)"
	line.Adapter{
		Client: "sarama",
		Module: "github.com/IBM/sarama",
		Lacks:  map[string]string{"group-uniform": noServerAssignor, "group-range": noServerAssignor},
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

func config() *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	// A look at a topic that is not there must not bring it about.
	config.Metadata.AllowAutoTopicCreation = false
	return config
}

func kind(err error) string {
	switch {
	case errors.Is(err, sarama.ErrTopicAlreadyExists):
		return "exists"
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return "unknown_topic"
	case errors.Is(err, sarama.ErrInvalidConfig):
		return "invalid_config"
	case errors.Is(err, sarama.ErrProducerFenced), errors.Is(err, sarama.ErrInvalidProducerEpoch):
		return "fenced"
	case errors.Is(err, sarama.ErrNonEmptyGroup):
		return "not_empty"
	}
	return ""
}

func (c *client) createTopic(command line.Command) (line.Answer, error) {
	configs := map[string]*string{}
	for name, value := range command.Configs {
		configs[name] = &value
	}
	detail := &sarama.TopicDetail{NumPartitions: command.Partitions, ReplicationFactor: 1, ConfigEntries: configs}
	return nil, c.admin.CreateTopic(command.Topic, detail, false)
}

func (c *client) growTopic(command line.Command) (line.Answer, error) {
	return nil, c.admin.CreatePartitions(command.Topic, command.Partitions, nil, false)
}

func (c *client) deleteTopic(command line.Command) (line.Answer, error) {
	return nil, c.admin.DeleteTopic(command.Topic)
}

func (c *client) partitions(command line.Command) (line.Answer, error) {
	topics, err := c.admin.DescribeTopics([]string{command.Topic})
	if err != nil {
		return nil, err
	}
	return line.Answer{"partitions": len(topics[0].Partitions)}, nil
}

func producing() *sarama.Config {
	config := config()
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Return.Successes = true
	// More than one request at a time could change the order of records; the idempotent producer insists on one.
	config.Net.MaxOpenRequests = 1
	return config
}

func toSend(command line.Command) []*sarama.ProducerMessage {
	var messages []*sarama.ProducerMessage
	for _, record := range command.Records {
		message := &sarama.ProducerMessage{Topic: command.Topic}
		if command.Partition != nil {
			message.Partition = *command.Partition
		}
		if record.Timestamp != nil {
			message.Timestamp = time.UnixMilli(*record.Timestamp)
		}
		if record.Key != nil {
			message.Key = sarama.ByteEncoder(record.Key)
		}
		if record.Value != nil {
			message.Value = sarama.ByteEncoder(record.Value)
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value})
		}
		messages = append(messages, message)
	}
	return messages
}

// sendAll tells the first of the errors, which the library gives as one list.
func sendAll(producer sarama.SyncProducer, messages []*sarama.ProducerMessage) error {
	err := producer.SendMessages(messages)
	if failed, several := errors.AsType[sarama.ProducerErrors](err); several {
		return failed[0].Err
	}
	return err
}

func (c *client) produce(command line.Command) (line.Answer, error) {
	config := producing()
	config.Producer.Idempotent = command.Idempotent
	if err := config.Producer.Compression.UnmarshalText([]byte(command.Codec)); err != nil {
		return nil, err
	}
	if command.Partition != nil {
		config.Producer.Partitioner = sarama.NewManualPartitioner
	}
	producer, err := sarama.NewSyncProducer(c.bootstrap, config)
	if err != nil {
		return nil, err
	}
	return nil, errors.Join(sendAll(producer, toSend(command)), producer.Close())
}

func received(message *sarama.ConsumerMessage) line.Record {
	headers := []line.Header{}
	for _, header := range message.Headers {
		headers = append(headers, line.Header{Key: string(header.Key), Value: header.Value})
	}
	return line.Record{
		Partition: message.Partition, Offset: message.Offset, Timestamp: new(message.Timestamp.UnixMilli()),
		Key: message.Key, Value: message.Value, Headers: headers,
	}
}

func (c *client) fetch(command line.Command) (line.Answer, error) {
	config := config()
	if command.Committed {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	}
	consumer, err := sarama.NewConsumer(c.bootstrap, config)
	if err != nil {
		return nil, err
	}
	defer consumer.Close()
	partition, err := consumer.ConsumePartition(command.Topic, *command.Partition, command.Offset)
	if err != nil {
		return nil, err
	}
	defer partition.AsyncClose()
	records := []line.Record{}
	for len(records) < command.Count {
		select {
		case message := <-partition.Messages():
			records = append(records, received(message))
		case <-time.After(time.Duration(command.Ms) * time.Millisecond):
			return line.Answer{"records": records}, nil
		}
	}
	return line.Answer{"records": records}, nil
}

func (c *client) offsets(command line.Command) (line.Answer, error) {
	earliest, err := c.client.GetOffset(command.Topic, *command.Partition, sarama.OffsetOldest)
	if err != nil {
		return nil, err
	}
	latest, err := c.client.GetOffset(command.Topic, *command.Partition, sarama.OffsetNewest)
	if err != nil {
		return nil, err
	}
	answer := line.Answer{"earliest": earliest, "latest": latest, "at": nil}
	if command.Timestamp != nil {
		at, err := c.client.GetOffset(command.Topic, *command.Partition, *command.Timestamp)
		if err != nil {
			return nil, err
		}
		if at >= 0 {
			answer["at"] = at
		}
	}
	return answer, nil
}

// member is a consumer of a group. Its claims give one record at a time, so that none is taken that no poll asks for.
type member struct {
	group   sarama.ConsumerGroup
	name    string
	topic   string
	queue   chan *sarama.ConsumerMessage
	stopped chan struct{}

	mutex   sync.Mutex
	session sarama.ConsumerGroupSession
	// next is where a commit of what polls gave in this session must come to.
	next map[int32]int64
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session, m.next = session, map[int32]int64{}
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.session = nil
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for message := range claim.Messages() {
		select {
		case m.queue <- message:
		case <-session.Context().Done():
			return nil
		}
	}
	return nil
}

func (m *member) run() {
	defer close(m.stopped)
	for {
		// It ends with every generation of an eager member, by an error or without one, and has to be called again.
		err := m.group.Consume(context.Background(), []string{m.topic}, m)
		if errors.Is(err, sarama.ErrClosedConsumerGroup) {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

// claims are the partitions owned now: none between two generations of an eager member.
func (m *member) claims() []int32 {
	claims := []int32{}
	if m.session != nil && m.session.Context().Err() == nil {
		claims = append(claims, m.session.Claims()[m.topic]...)
	}
	slices.Sort(claims)
	return claims
}

func (c *client) subscribe(command line.Command) (line.Answer, error) {
	config := config()
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.Group.Session.Timeout = 10 * time.Second
	config.Consumer.Group.Heartbeat.Interval = 300 * time.Millisecond
	if command.Strategy == "cooperative" {
		config.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{sarama.NewBalanceStrategyCooperativeSticky()}
	}
	if command.Instance != nil {
		config.Consumer.Group.InstanceId = *command.Instance
	}
	group, err := sarama.NewConsumerGroup(c.bootstrap, command.Group, config)
	if err != nil {
		return nil, err
	}
	c.member = &member{
		group: group, name: command.Group, topic: command.Topic,
		queue: make(chan *sarama.ConsumerMessage), stopped: make(chan struct{}),
	}
	go c.member.run()
	return nil, nil
}

func (c *client) poll(command line.Command) (line.Answer, error) {
	m := c.member
	records := []line.Record{}
	wait := time.After(time.Duration(command.Ms) * time.Millisecond)
	for waiting := true; waiting; {
		select {
		case message := <-m.queue:
			records = append(records, received(message))
			m.mutex.Lock()
			if m.session != nil {
				m.session.MarkMessage(message, "")
				m.next[message.Partition] = message.Offset + 1
			}
			m.mutex.Unlock()
		case <-wait:
			waiting = false
		}
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return line.Answer{"records": records, "assigned": m.claims()}, nil
}

// commit looks at what is committed afterwards: the library does not tell what became of a commit.
func (c *client) commit(line.Command) (line.Answer, error) {
	m := c.member
	m.mutex.Lock()
	defer m.mutex.Unlock()
	claims := m.claims()
	if len(claims) == 0 {
		return line.Answer{"committed": false}, nil
	}
	m.session.Commit()
	offsets, err := c.admin.ListConsumerGroupOffsets(m.name, map[string][]int32{m.topic: claims})
	if err != nil {
		return nil, err
	}
	for _, partition := range claims {
		next, polled := m.next[partition]
		block := offsets.GetBlock(m.topic, partition)
		if polled && (block == nil || block.Offset != next) {
			return line.Answer{"committed": false}, nil
		}
	}
	return line.Answer{"committed": true}, nil
}

func (c *client) leave(command line.Command) (line.Answer, error) {
	if _, err := c.commit(command); err != nil {
		return nil, err
	}
	err := c.member.group.Close()
	<-c.member.stopped
	c.member = nil
	return nil, err
}

func (c *client) committed(command line.Command) (line.Answer, error) {
	partitions := map[string][]int32{command.Topic: {*command.Partition}}
	offsets, err := c.admin.ListConsumerGroupOffsets(command.Group, partitions)
	if err != nil {
		return nil, err
	}
	block := offsets.GetBlock(command.Topic, *command.Partition)
	if block == nil || block.Offset < 0 {
		return line.Answer{"offset": nil}, nil
	}
	return line.Answer{"offset": block.Offset}, nil
}

func (c *client) listGroups(line.Command) (line.Answer, error) {
	groups, err := c.admin.ListConsumerGroups()
	names := []string{}
	for name := range groups {
		names = append(names, name)
	}
	return line.Answer{"groups": names}, err
}

func (c *client) describeGroup(command line.Command) (line.Answer, error) {
	groups, err := c.admin.DescribeConsumerGroups([]string{command.Group})
	if err != nil {
		return nil, err
	}
	if groups[0].Err != sarama.ErrNoError {
		return nil, groups[0].Err
	}
	return line.Answer{"state": groups[0].State, "members": len(groups[0].Members)}, nil
}

func (c *client) deleteGroup(command line.Command) (line.Answer, error) {
	return nil, c.admin.DeleteConsumerGroup(command.Group)
}

func (c *client) describeConfig(command line.Command) (line.Answer, error) {
	resource := sarama.ConfigResource{
		Type: sarama.TopicResource, Name: command.Topic, ConfigNames: []string{command.Name},
	}
	entries, err := c.admin.DescribeConfig(resource)
	if err != nil || len(entries) == 0 {
		return line.Answer{"value": nil}, err
	}
	return line.Answer{"value": entries[0].Value}, nil
}

func (c *client) alterConfig(command line.Command) (line.Answer, error) {
	set := sarama.IncrementalAlterConfigsEntry{
		Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &command.Value,
	}
	entries := map[string]sarama.IncrementalAlterConfigsEntry{command.Name: set}
	return nil, c.admin.IncrementalAlterConfig(sarama.TopicResource, command.Topic, entries, false)
}

func (c *client) deleteRecords(command line.Command) (line.Answer, error) {
	return nil, c.admin.DeleteRecords(command.Topic, map[int32]int64{*command.Partition: command.Offset})
}

func (c *client) initTransactions(command line.Command) (line.Answer, error) {
	config := producing()
	config.Producer.Idempotent = true
	config.Producer.Transaction.ID = command.TransactionalID
	config.Producer.Partitioner = sarama.NewManualPartitioner
	var err error
	c.producer, err = sarama.NewSyncProducer(c.bootstrap, config)
	return nil, err
}

func (c *client) begin(line.Command) (line.Answer, error) {
	return nil, c.producer.BeginTxn()
}

func (c *client) send(command line.Command) (line.Answer, error) {
	return nil, sendAll(c.producer, toSend(command))
}

func (c *client) sendOffsets(command line.Command) (line.Answer, error) {
	offset := &sarama.PartitionOffsetMetadata{Partition: *command.Partition, Offset: command.Offset}
	offsets := map[string][]*sarama.PartitionOffsetMetadata{command.Topic: {offset}}
	return nil, c.producer.AddOffsetsToTxn(offsets, command.Group)
}

func (c *client) end(command line.Command) (line.Answer, error) {
	if command.Commit {
		return nil, c.producer.CommitTxn()
	}
	return nil, c.producer.AbortTxn()
}
