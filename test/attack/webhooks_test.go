package attack_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // as git names commits
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"

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
