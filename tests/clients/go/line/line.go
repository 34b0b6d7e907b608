// Package line is an adapter's side of the protocol between jobs and foreign clients: one JSON object a line comes in, one
// goes out. docs/internals/foreign-clients.md tells what is in them.
package line

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
)

// Command is what a job asks for. Which fields are set depends on Op.
type Command struct {
	Op              string            `json:"op"`
	Topic           string            `json:"topic"`
	Partitions      int32             `json:"partitions"`
	Configs         map[string]string `json:"configs"`
	Partition       *int32            `json:"partition"`
	Codec           string            `json:"codec"`
	Idempotent      bool              `json:"idempotent"`
	Records         []Record          `json:"records"`
	Offset          int64             `json:"offset"`
	Count           int               `json:"count"`
	Committed       bool              `json:"committed"`
	Ms              int64             `json:"ms"`
	Timestamp       *int64            `json:"timestamp"`
	Group           string            `json:"group"`
	Strategy        string            `json:"strategy"`
	Instance        *string           `json:"instance"`
	Name            string            `json:"name"`
	Value           string            `json:"value"`
	TransactionalID string            `json:"transactional_id"`
	Commit          bool              `json:"commit"`
}

// Record goes in without its place, and with a time only where the library shall not take its own; it comes out with both.
// Go's JSON tells nil bytes (null) from none (""), as the protocol does.
type Record struct {
	Partition int32    `json:"partition"`
	Offset    int64    `json:"offset"`
	Timestamp *int64   `json:"timestamp"`
	Key       []byte   `json:"key"`
	Value     []byte   `json:"value"`
	Headers   []Header `json:"headers"`
}

// Header is a pair in JSON: the key, and the value in base64 or null.
type Header struct {
	Key   string
	Value []byte
}

// MarshalJSON writes the pair.
func (h Header) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]any{h.Key, h.Value})
}

// UnmarshalJSON reads the pair.
func (h *Header) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[2]any{&h.Key, &h.Value})
}

// Answer is what an operation has to tell.
type Answer = map[string]any

// Operation does one command.
type Operation func(Command) (Answer, error)

// Adapter is a client library as the protocol sees it.
type Adapter struct {
	// Client is the name that people know the library by.
	Client string
	// Module is its module's path; its version is what this program was built with.
	Module string
	// Lacks has features that the library has no way to do, and why.
	Lacks map[string]string
	// Kind tells what an error means where a job may ask, else "".
	Kind func(error) string
	// Operations by name.
	Operations map[string]Operation
}

// Serve answers commands until there are no more.
func (a Adapter) Serve() {
	in := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		text, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		if err := out.Encode(a.answer(text)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

func (a Adapter) answer(text []byte) Answer {
	var command Command
	if err := json.Unmarshal(text, &command); err != nil {
		return Answer{"error": err.Error()}
	}
	if command.Op == "hello" {
		return Answer{"ok": Answer{"client": a.Client, "version": a.version(), "lacks": a.Lacks}}
	}
	operation, there := a.Operations[command.Op]
	if !there {
		return Answer{"error": fmt.Sprintf("%s has no way to do %s", a.Client, command.Op)}
	}
	answer, err := operation(command)
	if err == nil {
		if answer == nil {
			answer = Answer{}
		}
		return Answer{"ok": answer}
	}
	told := Answer{"error": err.Error()}
	if kind := a.Kind(err); kind != "" {
		told["kind"] = kind
	}
	return told
}

func (a Adapter) version() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == a.Module {
			return module.Version
		}
	}
	return "unknown"
}
