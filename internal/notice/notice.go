// Package notice tells people what became of builds and tasks, over the channels that a task's settings name. What is to be told is stored
// together with what happened, so nothing is lost and nothing is told that did not happen; it is sent later, at least once.
package notice

import (
	"encoding/json"
	"fmt"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"time"

	"atelier/internal/build"
	"atelier/internal/fault"
)

// Channel is a way by which notices reach people.
type Channel string

// The channels.
const (
	Message  Channel = "MESSAGE" // is kept here, for those whom it is for
	Mail     Channel = "MAIL"
	WeCom    Channel = "WECOM"
	DingTalk Channel = "DING_TALK"
	Feishu   Channel = "FEISHU"
)

// Channels are all of them.
var Channels = []Channel{Message, Mail, WeCom, DingTalk, Feishu}

// Robot reports whether the channel is a web address that takes messages.
func (c Channel) Robot() bool { return c == WeCom || c == DingTalk || c == Feishu }

// ParseChannel reads the name of a channel, in letters of any case.
func ParseChannel(name string) (Channel, error) {
	c := Channel(strings.ToUpper(name))
	if !slices.Contains(Channels, c) {
		return "", fault.Field("notice_type", "must be MESSAGE, MAIL, WECOM, DING_TALK or FEISHU, found %.40q", name)
	}
	return c, nil
}

// Event is something that notices are about.
type Event string

// The events.
const (
	Succeeded Event = "buildJobSuccess"
	Failed    Event = "buildJobFail" // also one that ran too long, or could not be scheduled; not one that was stopped
	Deleted   Event = "deleteJob"
	Disabled  Event = "forbiddenJob"
	Updated   Event = "updateConfigJob"
)

// Events are all of them.
var Events = []Event{Succeeded, Failed, Deleted, Disabled, Updated}

// Setting says what is told of a task over one channel.
type Setting struct {
	Channel Channel
	Events  []Event
	Config  string // JSON of the client's; sealed in the store
	Follows bool   // a task's: the rest is its project's
}

// Change is a new setting of a channel.
type Change struct {
	Channel Channel
	Events  []Event
	Config  *string // nil leaves the one that is there
	Follows bool    // a task's: its project's setting counts instead
}

// Config is what a setting's JSON says. Robots have an address, and a key if they check signatures; mail has addresses of people.
type Config struct {
	Webhook   string             `json:"webhook"`
	Secret    string             `json:"secret"`
	Receivers map[Event][]string `json:"eventTypeNamesReceivers"`
}

const (
	maxConfig    = 8192
	maxReceivers = 50
)

// parseConfig reads the JSON of a setting. Its keys are not documented for robots, so the usual names are taken.
func parseConfig(channel Channel, text string) (Config, error) {
	var c Config
	if len(text) > maxConfig {
		return c, fault.Field("param_config", "has %d bytes, at most %d are allowed", len(text), maxConfig)
	}
	if text != "" {
		var other struct {
			URL        string `json:"url"`
			WebhookURL string `json:"webhook_url"`
			Camel      string `json:"webhookUrl"`
			Sign       string `json:"sign"`
		}
		if json.Unmarshal([]byte(text), &c) != nil || json.Unmarshal([]byte(text), &other) != nil {
			return c, fault.Field("param_config", `must be JSON such as {"webhook": "https://…", "secret": "…"} or {"eventTypeNamesReceivers": {"buildJobFail": ["a@example.org"]}}`)
		}
		for _, u := range []string{other.URL, other.WebhookURL, other.Camel} {
			if c.Webhook == "" {
				c.Webhook = u
			}
		}
		if c.Secret == "" {
			c.Secret = other.Sign
		}
	}
	if channel.Robot() {
		if err := CheckAddress("param_config", c.Webhook); err != nil {
			return c, err
		}
	}
	n := 0
	for event, people := range c.Receivers {
		if !slices.Contains(Events, event) {
			return c, fault.Field("param_config", "names the event %.40q, allowed are %v", event, Events)
		}
		for _, p := range people {
			n++
			if _, err := mail.ParseAddress(p); err != nil && channel == Mail {
				return c, fault.Field("param_config", "%.80q is not the address of a mailbox", p)
			}
		}
	}
	if n > maxReceivers {
		return c, fault.Field("param_config", "names %d receivers, at most %d are allowed", n, maxReceivers)
	}
	return c, nil
}

// CheckAddress checks the web address of a robot, apart from where it leads. Its words do not repeat it: such addresses hold keys.
func CheckAddress(field, address string) error {
	u, err := url.Parse(address)
	switch {
	case address == "":
		return fault.Field(field, "has no address of a webhook")
	case err != nil || len(address) > 2048 || u.Host == "":
		return fault.Field(field, "the address of the webhook is not a well-formed URL of at most 2048 bytes")
	case u.Scheme != "https" && u.Scheme != "http":
		return fault.Field(field, "the address of the webhook must begin with https:// or http://")
	case u.User != nil:
		return fault.Field(field, "the address of the webhook must not hold a user name or a password")
	}
	return nil
}

// Notice is something to be told over a channel.
type Notice struct {
	ID      string
	JobID   build.JobID
	Event   Event
	Channel Channel
	Tries   int // made before
	At      time.Time

	JobName   string
	ProjectID build.ProjectID
	CreatorID string // of the task
	UserID    string // who started the build, or changed the task
	UserName  string
	Record    *build.Record // of an event about a build
}

// Way is the way that notices take: over a channel of a task.
type Way struct {
	JobID   build.JobID
	Channel Channel
}

// Way returns the way that a notice takes.
func (n Notice) Way() Way { return Way{n.JobID, n.Channel} }

// Text is a notice in words.
func (n Notice) Text(zone *time.Location) (title, text string) {
	at := n.At.In(zone).Format("2006-01-02 15:04:05 MST")
	if n.Record == nil {
		what := map[Event]string{Deleted: "deleted", Disabled: "disabled", Updated: "changed"}[n.Event]
		title = fmt.Sprintf("Build task %s was %s", n.JobName, what)
		return title, fmt.Sprintf("%s by %s at %s.", title, n.UserName, at)
	}
	r := n.Record
	result := map[build.State]string{build.Succeeded: "succeeded", build.TimedOut: "ran too long", build.Unschedulable: "could not be run"}[r.State]
	if result == "" {
		result = "failed"
	}
	title = fmt.Sprintf("Build %d of %s %s", r.Number, r.JobName, result)
	var b strings.Builder
	fmt.Fprintf(&b, "%s.\nStarted by %s, over at %s after %s.", title, n.UserName, at, r.RunTime(n.At).Round(time.Second))
	if r.Branch != "" {
		fmt.Fprintf(&b, "\nBranch %s", r.Branch)
		if r.Commit != "" {
			fmt.Fprintf(&b, ", commit %.8s", r.Commit)
		}
		b.WriteString(".")
	}
	if r.Error != "" {
		fmt.Fprintf(&b, "\n%s", r.Error)
	}
	return title, b.String()
}
