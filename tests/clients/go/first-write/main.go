// kafka-go writes to topics that nobody has made: `first-write BOOTSTRAP TOPIC...`. It tries again where the library calls
// an error temporary, as its own example does, and prints a line for each topic: what each try came to.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
)

const (
	tries = 20
	pause = 100 * time.Millisecond
)

func main() {
	for _, topic := range os.Args[2:] {
		fmt.Println(strings.Join(write(os.Args[1], topic), ", "))
	}
}

func write(bootstrap, topic string) []string {
	writer := &kafka.Writer{
		Addr: kafka.TCP(bootstrap), Topic: topic, RequiredAcks: kafka.RequireAll,
		BatchTimeout: time.Millisecond, AllowAutoTopicCreation: true,
	}
	defer writer.Close()
	var outcomes []string
	for range tries {
		err := writer.WriteMessages(context.Background(), kafka.Message{Value: []byte("first")})
		if err == nil {
			return append(outcomes, "written")
		}
		outcomes = append(outcomes, words(err))
		var coded kafka.Error
		if !errors.As(err, &coded) || !coded.Temporary() {
			break
		}
		time.Sleep(pause)
	}
	return outcomes
}

// words is an error of Kafka by its title, and any other in full.
func words(err error) string {
	var coded kafka.Error
	if errors.As(err, &coded) {
		return coded.Title()
	}
	return err.Error()
}
