package notice

import (
	"strings"
	"testing"

	"atelier/internal/fault"
)

// FuzzConfig checks that what a client configures a channel with is either kept, or refused with a short sentence that does not repeat the key in
// a robot's address.
func FuzzConfig(f *testing.F) {
	for _, text := range []string{
		"", "{}", "null", "[]", `{"webhook":"https://a.example.org/hook?key=hunter22","secret":"s"}`, `{"url":"ftp://hunter22"}`, `{"webhook":1}`,
		`{"eventTypeNamesReceivers":{"buildJobFail":["a@example.org"]}}`, `{"eventTypeNamesReceivers":{"x":["a"]}}`, `{"webhook_url":"https://u:hunter22@h/"}`,
	} {
		for _, channel := range Channels {
			f.Add(string(channel), text)
		}
	}
	f.Fuzz(func(t *testing.T, channel, text string) {
		c, err := parseConfig(Channel(channel), text)
		if err == nil {
			if Channel(channel).Robot() && !strings.HasPrefix(c.Webhook, "http") {
				t.Errorf("the address %q was taken", c.Webhook)
			}
			return
		}
		if !fault.Is(err, fault.Invalid) || len(err.Error()) > 2000 || strings.Contains(err.Error(), "hunter22") && !strings.Contains(text, "eventTypeNamesReceivers") {
			t.Errorf("%q is refused with %v", text, err)
		}
	})
}
