// A member of a group by sarama that stays while its server goes and comes: `restarted-group BOOTSTRAP GROUP TOPIC`. It
// prints `read VALUE` for each record and `error WORDS` for each time that the library gave up, and begins anew as the
// library's example does. The end of its input ends it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/IBM/sarama"
)

// How long to leave the server alone after an error.
const pause = 50 * time.Millisecond

type reader struct{}

func (reader) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (reader) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (reader) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			session.MarkMessage(message, "")
			session.Commit()
			fmt.Println("read", string(message.Value))
		case <-session.Context().Done():
			return nil
		}
	}
}

func main() {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	group, err := sarama.NewConsumerGroup(os.Args[1:2], os.Args[2], config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, end := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		end()
	}()
	for ctx.Err() == nil {
		if err := group.Consume(ctx, os.Args[3:4], reader{}); err != nil && ctx.Err() == nil {
			fmt.Println("error", err)
			time.Sleep(pause)
		}
	}
	_ = group.Close()
}
