// The adapter for kafka-go: `kafka-go BOOTSTRAP`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"ottla/clients/line"
)

type client struct {
	bootstrap string
	client    *kafka.Client
	member    *member
}

func main() {
	c := &client{bootstrap: os.Args[1]}
	// It remembers the cluster for six seconds, and a job looks until it sees what it changed. A shorter time would be the
	// end of each request for metadata, too.
	c.client = &kafka.Client{Addr: kafka.TCP(c.bootstrap), Timeout: 60 * time.Second}
	noProducerID := "writes records without a producer id"
	noServerAssignor := "has no consumer protocol (KIP-848)"
	line.Adapter{
		Client: "kafka-go",
		Module: "github.com/segmentio/kafka-go",
		Lacks: map[string]string{
			"idempotent": noProducerID, "transactions": noProducerID, "fencing": noProducerID, "exactly-once": noProducerID,
			"group-uniform": noServerAssignor, "group-range": noServerAssignor,
			"group-cooperative": "its members give up all partitions in a rebalance",
			"static-member":     "has no group.instance.id",
			"delete-records":    "has no DeleteRecords request",
		},
		Kind: kind,
		Operations: map[string]line.Operation{
			"create_topic": c.createTopic, "grow_topic": c.growTopic, "delete_topic": c.deleteTopic,
			"partitions": c.partitions, "produce": c.produce, "fetch": c.fetch, "offsets": c.offsets,
			"subscribe": c.subscribe, "poll": c.poll, "commit": c.commit, "leave": c.leave,
			"committed": c.committed, "list_groups": c.listGroups, "describe_group": c.describeGroup,
			"delete_group": c.deleteGroup, "describe_config": c.describeConfig, "alter_config": c.alterConfig,
		},
	}.Serve()
}

func kind(err error) string {
	switch {
	case errors.Is(err, kafka.TopicAlreadyExists):
		return "exists"
	case errors.Is(err, kafka.UnknownTopicOrPartition):
		return "unknown_topic"
	case errors.Is(err, kafka.InvalidConfiguration):
		return "invalid_config"
	case errors.Is(err, kafka.NonEmptyGroup):
		return "not_empty"
	}
	return ""
}

func (c *client) createTopic(command line.Command) (line.Answer, error) {
	topic := kafka.TopicConfig{Topic: command.Topic, NumPartitions: int(command.Partitions), ReplicationFactor: 1}
	for name, value := range command.Configs {
		topic.ConfigEntries = append(topic.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
	}
	response, err := c.client.CreateTopics(context.Background(), &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{topic}})
	if err != nil {
		return nil, err
	}
	return nil, response.Errors[command.Topic]
}

func (c *client) growTopic(command line.Command) (line.Answer, error) {
	topic := kafka.TopicPartitionsConfig{Name: command.Topic, Count: command.Partitions}
	request := &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{topic}}
	response, err := c.client.CreatePartitions(context.Background(), request)
	if err != nil {
		return nil, err
	}
	return nil, response.Errors[command.Topic]
}

func (c *client) deleteTopic(command line.Command) (line.Answer, error) {
	response, err := c.client.DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{command.Topic}})
	if err != nil {
		return nil, err
	}
	return nil, response.Errors[command.Topic]
}

func (c *client) partitions(command line.Command) (line.Answer, error) {
	response, err := c.client.Metadata(context.Background(), &kafka.MetadataRequest{})
	if err != nil {
		return nil, err
	}
	for _, topic := range response.Topics {
		if topic.Name == command.Topic {
			return line.Answer{"partitions": len(topic.Partitions)}, nil
		}
	}
	return line.Answer{"partitions": 0}, nil
}

func (c *client) produce(command line.Command) (line.Answer, error) {
	writer := &kafka.Writer{
		Addr: c.client.Addr, Topic: command.Topic, RequiredAcks: kafka.RequireAll, Balancer: &kafka.Hash{},
		BatchSize: len(command.Records), BatchTimeout: 10 * time.Millisecond,
	}
	if command.Codec != "none" {
		if err := writer.Compression.UnmarshalText([]byte(command.Codec)); err != nil {
			return nil, err
		}
	}
	if command.Partition != nil {
		writer.Balancer = kafka.BalancerFunc(func(kafka.Message, ...int) int { return int(*command.Partition) })
	}
	var messages []kafka.Message
	for _, record := range command.Records {
		message := kafka.Message{Key: record.Key, Value: record.Value}
		if record.Timestamp != nil {
			message.Time = time.UnixMilli(*record.Timestamp)
		}
		for _, header := range record.Headers {
			message.Headers = append(message.Headers, kafka.Header{Key: header.Key, Value: header.Value})
		}
		messages = append(messages, message)
	}
	return nil, errors.Join(writer.WriteMessages(context.Background(), messages...), writer.Close())
}

func received(message kafka.Message) line.Record {
	headers := []line.Header{}
	for _, header := range message.Headers {
		headers = append(headers, line.Header{Key: header.Key, Value: header.Value})
	}
	return line.Record{
		Partition: int32(message.Partition), Offset: message.Offset, Timestamp: new(message.Time.UnixMilli()),
		Key: message.Key, Value: message.Value, Headers: headers,
	}
}

// fetch asks by the library's Client: its Reader does not tell what is empty from what is null.
func (c *client) fetch(command line.Command) (line.Answer, error) {
	request := &kafka.FetchRequest{
		Topic: command.Topic, Partition: int(*command.Partition), Offset: command.Offset,
		MinBytes: 1, MaxBytes: 50 << 20, MaxWait: 200 * time.Millisecond, IsolationLevel: kafka.ReadUncommitted,
	}
	if command.Committed {
		request.IsolationLevel = kafka.ReadCommitted
	}
	records := []line.Record{}
	wait := time.Duration(command.Ms) * time.Millisecond
	for end := time.Now().Add(wait); len(records) < command.Count && time.Now().Before(end); {
		response, err := c.client.Fetch(context.Background(), request)
		if err == nil {
			err = response.Error
		}
		if err != nil {
			return nil, err
		}
		more, err := c.read(response, request.Offset)
		if err != nil {
			return nil, err
		}
		if len(more) > 0 {
			records = append(records, more...)
			request.Offset = records[len(records)-1].Offset + 1
			end = time.Now().Add(wait)
		}
	}
	return line.Answer{"records": records[:min(len(records), command.Count)]}, nil
}

// read leaves out what comes before the offset: a server gives whole batches.
func (c *client) read(response *kafka.FetchResponse, offset int64) ([]line.Record, error) {
	records := []line.Record{}
	for {
		record, err := response.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return records, nil
		}
		if err != nil {
			return nil, err
		}
		key, err := kafka.ReadAll(record.Key)
		if err != nil {
			return nil, err
		}
		value, err := kafka.ReadAll(record.Value)
		if err != nil {
			return nil, err
		}
		if record.Offset >= offset {
			records = append(records, received(kafka.Message{
				Partition: response.Partition, Offset: record.Offset, Time: record.Time,
				Key: key, Value: value, Headers: record.Headers,
			}))
		}
	}
}

func (c *client) offsets(command line.Command) (line.Answer, error) {
	list := func(request kafka.OffsetRequest) (kafka.PartitionOffsets, error) {
		topics := map[string][]kafka.OffsetRequest{command.Topic: {request}}
		response, err := c.client.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{Topics: topics})
		if err != nil {
			return kafka.PartitionOffsets{}, err
		}
		offsets := response.Topics[command.Topic][0]
		return offsets, offsets.Error
	}
	partition := int(*command.Partition)
	earliest, err := list(kafka.FirstOffsetOf(partition))
	if err != nil {
		return nil, err
	}
	latest, err := list(kafka.LastOffsetOf(partition))
	if err != nil {
		return nil, err
	}
	answer := line.Answer{"earliest": earliest.FirstOffset, "latest": latest.LastOffset, "at": nil}
	if command.Timestamp != nil {
		at, err := list(kafka.TimeOffsetOf(partition, time.UnixMilli(*command.Timestamp)))
		if err != nil {
			return nil, err
		}
		for offset := range at.Offsets {
			if offset >= 0 {
				answer["at"] = offset
			}
		}
	}
	return answer, nil
}

// member is a consumer of a group by the library's ConsumerGroup: its Reader does not tell which partitions it owns.
type member struct {
	group   *kafka.ConsumerGroup
	topic   string
	queue   chan kafka.Message
	stopped chan struct{}

	mutex      sync.Mutex
	generation *kafka.Generation
	// next is what polls gave in this generation, and where a commit of it must come to.
	next map[int]int64
}

// run reads each partition of each generation in a routine of its own, which the generation waits for at its end.
func (m *member) run(c *client) {
	defer close(m.stopped)
	for {
		generation, err := m.group.Next(context.Background())
		if errors.Is(err, kafka.ErrGroupClosed) {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			continue
		}
		m.enter(generation)
		for _, assignment := range generation.Assignments[m.topic] {
			generation.Start(func(ended context.Context) { m.read(c, ended, assignment) })
		}
		generation.Start(func(ended context.Context) {
			<-ended.Done()
			m.enter(nil)
		})
	}
}

func (m *member) enter(generation *kafka.Generation) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.generation, m.next = generation, map[int]int64{}
}

func (m *member) read(c *client, ended context.Context, assignment kafka.PartitionAssignment) {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{c.bootstrap}, Topic: m.topic, Partition: assignment.ID, MaxWait: 200 * time.Millisecond,
	})
	defer reader.Close()
	if err := reader.SetOffset(assignment.Offset); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for {
		message, err := reader.ReadMessage(ended)
		if err != nil {
			if ended.Err() == nil {
				fmt.Fprintln(os.Stderr, err)
			}
			return
		}
		select {
		case m.queue <- message:
		case <-ended.Done():
			return
		}
	}
}

func (c *client) subscribe(command line.Command) (line.Answer, error) {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: command.Group, Brokers: []string{c.bootstrap}, Topics: []string{command.Topic},
		GroupBalancers: []kafka.GroupBalancer{kafka.RangeGroupBalancer{}}, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: 300 * time.Millisecond, SessionTimeout: 10 * time.Second,
	})
	if err != nil {
		return nil, err
	}
	c.member = &member{
		group: group, topic: command.Topic, queue: make(chan kafka.Message), stopped: make(chan struct{}),
	}
	go c.member.run(c)
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
			m.next[message.Partition] = message.Offset + 1
			m.mutex.Unlock()
		case <-wait:
			waiting = false
		}
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	assigned := []int{}
	if m.generation != nil {
		for _, assignment := range m.generation.Assignments[m.topic] {
			assigned = append(assigned, assignment.ID)
		}
	}
	slices.Sort(assigned)
	return line.Answer{"records": records, "assigned": assigned}, nil
}

func (c *client) commit(line.Command) (line.Answer, error) {
	m := c.member
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.generation == nil {
		return line.Answer{"committed": false}, nil
	}
	err := m.generation.CommitOffsets(map[string]map[int]int64{m.topic: m.next})
	for _, amid := range []error{kafka.RebalanceInProgress, kafka.IllegalGeneration, kafka.UnknownMemberId} {
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
	err := c.member.group.Close()
	<-c.member.stopped
	c.member = nil
	return nil, err
}

func (c *client) committed(command line.Command) (line.Answer, error) {
	partitions := map[string][]int{command.Topic: {int(*command.Partition)}}
	request := &kafka.OffsetFetchRequest{GroupID: command.Group, Topics: partitions}
	response, err := c.client.OffsetFetch(context.Background(), request)
	if err == nil {
		err = response.Error
	}
	if err != nil {
		return nil, err
	}
	partition := response.Topics[command.Topic][0]
	if partition.CommittedOffset < 0 {
		return line.Answer{"offset": nil}, partition.Error
	}
	return line.Answer{"offset": partition.CommittedOffset}, partition.Error
}

func (c *client) listGroups(line.Command) (line.Answer, error) {
	response, err := c.client.ListGroups(context.Background(), &kafka.ListGroupsRequest{})
	if err == nil {
		err = response.Error
	}
	if err != nil {
		return nil, err
	}
	names := []string{}
	for _, group := range response.Groups {
		names = append(names, group.GroupID)
	}
	return line.Answer{"groups": names}, nil
}

func (c *client) describeGroup(command line.Command) (line.Answer, error) {
	request := &kafka.DescribeGroupsRequest{GroupIDs: []string{command.Group}}
	response, err := c.client.DescribeGroups(context.Background(), request)
	if err != nil {
		return nil, err
	}
	group := response.Groups[0]
	return line.Answer{"state": group.GroupState, "members": len(group.Members)}, group.Error
}

func (c *client) deleteGroup(command line.Command) (line.Answer, error) {
	request := &kafka.DeleteGroupsRequest{GroupIDs: []string{command.Group}}
	response, err := c.client.DeleteGroups(context.Background(), request)
	if err != nil {
		return nil, err
	}
	return nil, response.Errors[command.Group]
}

func (c *client) describeConfig(command line.Command) (line.Answer, error) {
	resource := kafka.DescribeConfigRequestResource{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: command.Topic, ConfigNames: []string{command.Name},
	}
	request := &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{resource}}
	response, err := c.client.DescribeConfigs(context.Background(), request)
	if err != nil {
		return nil, err
	}
	described := response.Resources[0]
	if len(described.ConfigEntries) == 0 {
		return line.Answer{"value": nil}, described.Error
	}
	return line.Answer{"value": described.ConfigEntries[0].ConfigValue}, described.Error
}

func (c *client) alterConfig(command line.Command) (line.Answer, error) {
	set := kafka.IncrementalAlterConfigsRequestConfig{
		Name: command.Name, Value: command.Value, ConfigOperation: kafka.ConfigOperationSet,
	}
	resource := kafka.IncrementalAlterConfigsRequestResource{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: command.Topic,
		Configs: []kafka.IncrementalAlterConfigsRequestConfig{set},
	}
	request := &kafka.IncrementalAlterConfigsRequest{Resources: []kafka.IncrementalAlterConfigsRequestResource{resource}}
	response, err := c.client.IncrementalAlterConfigs(context.Background(), request)
	if err != nil {
		return nil, err
	}
	return nil, response.Resources[0].Error
}
