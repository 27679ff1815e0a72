package attack_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // as git names commits
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"atelier/internal/executor/host"
	"atelier/internal/server/servertest"
)

// deliver sends a push of a commit to a project's hook, as GitHub does.
func deliver(t *testing.T, s *servertest.Server, project, secret, commit, pad string) servertest.Answer {
	t.Helper()
	id := sha1.Sum([]byte(commit)) //nolint:gosec // as git names commits
	body := fmt.Sprintf(`{"ref": "refs/heads/main", "after": "%x", "pad": %q, "repository": {"clone_url": "https://git.example/none.git"}}`, id, pad)
	r := s.Request(http.MethodPost, "/v1/hooks/"+project+"/github", body)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body))
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-GitHub-Delivery", commit)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	return s.Send(r)
}

// TestWebhookFlood checks that the deliveries of one project hold up those of another no longer than one of them takes.
func TestWebhookFlood(t *testing.T) {
	t.Parallel()
	s := startServer(t, host.Off)
	secret, other := hookSecret(t, s, s.Project), hookSecret(t, s, s.OtherProject)
	for i := range 40 {
		s.MakeTask(fmt.Sprint("filler", i), "true")
	}
	for i := range 200 {
		if got := deliver(t, s, s.Project, secret, fmt.Sprint(i), ""); got.Status != http.StatusAccepted {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
	}
	if got := deliver(t, s, s.OtherProject, other, "x", ""); got.Status != http.StatusAccepted {
		t.Fatalf("%d %s", got.Status, got.Body)
	}
	began := time.Now()
	for len(unhandled(t, s, s.OtherProject)) > 0 {
		if time.Since(began) > 10*time.Second {
			t.Fatal("the delivery of the other project waits")
		}
		time.Sleep(10 * time.Millisecond)
	}
	for began := time.Now(); len(unhandled(t, s, s.Project)) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > patience {
			t.Fatal("the flood is never handled")
		}
	}
}

// unhandled returns the newest deliveries of a project that nobody has handled.
func unhandled(t *testing.T, s *servertest.Server, project string) (ids []string) {
	t.Helper()
	var listed struct {
		Result struct {
			Deliveries []struct {
				ID         string  `json:"id"`
				HandleTime *string `json:"handle_time"`
			} `json:"deliveries"`
		} `json:"result"`
	}
	got := s.Call(s.Admin, http.MethodGet, "/v1/hooks/"+project+"/deliveries?page_size=100", "")
	if err := json.Unmarshal([]byte(got.Body), &listed); err != nil || got.Status != http.StatusOK {
		t.Fatalf("%d %s: %v", got.Status, got.Body, err)
	}
	for _, d := range listed.Result.Deliveries {
		if d.HandleTime == nil {
			ids = append(ids, d.ID)
		}
	}
	return ids
}
